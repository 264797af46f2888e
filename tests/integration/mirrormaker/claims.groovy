// What Kafka's own classes say to what rules of the doctor claim. Prints: claim, tab, value.
import java.time.Duration
import java.util.concurrent.Semaphore
import org.apache.kafka.clients.consumer.ConsumerRecords
import org.apache.kafka.clients.consumer.KafkaConsumer
import org.apache.kafka.common.acl.AccessControlEntry
import org.apache.kafka.common.acl.AclOperation
import org.apache.kafka.common.acl.AclPermissionType
import org.apache.kafka.common.errors.TopicAuthorizationException
import org.apache.kafka.common.serialization.ByteArrayDeserializer

def say = { claim, value -> println claim + "\t" + value }
def of = { name -> Class.forName("org.apache.kafka.connect." + name) }
def field = { type, name ->
    def found = type.getDeclaredField(name)
    found.accessible = true
    found
}
def invoke = { type, object, name, Object... arguments ->
    def found = type.declaredMethods.find { it.name == name && it.parameterCount == arguments.length }
    found.accessible = true
    found.invoke(object, arguments)
}

// defaults, as the ConfigDefs have them
def defaults = { label, definition, keys ->
    keys.each { key -> say(label + " " + key, definition.defaultValues()[key]) }
}
def definition = { type, name -> field(of(type), name).get(null) }
def sourceDef = definition("mirror.MirrorSourceConfig", "CONNECTOR_CONFIG_DEF")
def checkpointDef = definition("mirror.MirrorCheckpointConfig", "CONNECTOR_CONFIG_DEF")
def connectorDef = invoke(of("runtime.SourceConnectorConfig"), null, "configDef")
defaults("source", sourceDef, ["replication.factor", "offset-syncs.topic.replication.factor",
    "refresh.topics.interval.seconds", "offset.lag.max", "sync.topic.acls.enabled", "offset-syncs.topic.location"])
defaults("checkpoint", checkpointDef, ["refresh.groups.interval.seconds", "sync.group.offsets.enabled",
    "checkpoints.topic.replication.factor", "offset-syncs.topic.location"])
defaults("connector", connectorDef, ["tasks.max", "transaction.boundary", "transaction.boundary.interval.ms"])
def workers = of("runtime.distributed.DistributedConfig").declaredMethods.find {
    it.name == "config" && it.parameterCount <= 1
}
workers.accessible = true
def crypto = field(of("runtime.distributed.Crypto"), "SYSTEM").get(null)
def workerDef = workers.invoke(null, workers.parameterCount == 1 ? [crypto] as Object[] : [] as Object[])
defaults("worker", workerDef, ["scheduled.rebalance.max.delay.ms", "offset.flush.interval.ms",
    "exactly.once.source.support", "header.converter"])
defaults("producer", org.apache.kafka.clients.producer.ProducerConfig.configDef(), ["transaction.timeout.ms",
    "max.request.size", "batch.size"])
defaults("consumer", org.apache.kafka.clients.consumer.ConsumerConfig.configDef(), ["receive.buffer.bytes",
    "max.partition.fetch.bytes", "isolation.level"])

// what the three connectors build for the source's records
def source = [name: "m", "connector.class": "MirrorSourceConnector", "source.cluster.alias": "eu", "target.cluster.alias": "us",
    "source.cluster.bootstrap.servers": "eu:1", "target.cluster.bootstrap.servers": "us:1", topics: "orders",
    "producer.batch.size": "7", "target.cluster.batch.size": "8", "producer.override.batch.size": "9"]
def worker = of("runtime.distributed.DistributedConfig").getConstructor(Map).newInstance(["bootstrap.servers": "us:1",
    "group.id": "g", "offset.storage.topic": "o", "config.storage.topic": "c", "status.storage.topic": "s",
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter"])
def base = of("runtime.Worker").declaredMethods.find { it.name == "baseProducerConfigs" }
base.accessible = true
def configOf = of("runtime.ConnectorConfig").constructors.find {
    it.parameterTypes.length == 2 && it.parameterTypes[1] == Map
}
def made = base.invoke(null, ["m", "id", worker, null, of("mirror.MirrorSourceConnector"), null, "c"].with {
    it[3] = configOf.newInstance([of("runtime.isolation.Plugins").getConstructor(Map).newInstance(
        ["plugin.path": "", "plugin.discovery": "service_load"]), source] as Object[])
    it[5] = Class.forName("org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy")
        .getDeclaredConstructor().newInstance()
    it
} as Object[])
["max.in.flight.requests.per.connection", "enable.idempotence", "batch.size", "acks"].each {
    say("the worker's producer " + it, made[it])
}
def consumes = of("mirror.MirrorConnectorConfig").getDeclaredMethod("sourceConsumerConfig", Map)
consumes.accessible = true
consumes = consumes.invoke(null, source)
say("the task's consumer auto.offset.reset", consumes["auto.offset.reset"])

// patterns and filters
def filter = of("mirror.DefaultConfigPropertyFilter").getDeclaredConstructor().newInstance()
filter.configure([:])
["message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
    "min.insync.replicas", "retention.ms"].each { say("sync of " + it, filter.shouldReplicateConfigProperty(it)) }
def own = of("mirror.DefaultConfigPropertyFilter").getDeclaredConstructor().newInstance()
own.configure(["config.properties.exclude": "retention.ms"])
say("sync of min.insync.replicas with a list of one's own", own.shouldReplicateConfigProperty("min.insync.replicas"))
def topics = of("mirror.DefaultTopicFilter").getDeclaredConstructor().newInstance()
topics.configure([topics: ".*"])
say("copies orders.internal", topics.shouldReplicateTopic("orders.internal"))
try {
    topics.configure([topics: "or{1,2}ders"])
    say("a pattern with a comma copies orders", topics.shouldReplicateTopic("orders"))
} catch (Exception error) {
    say("a pattern with a comma copies orders", (error.cause ?: error).class.simpleName)
}

// letters
def file = File.createTempFile("letters", ".properties")
file.bytes = "\uFEFFfirst = a\nname = \u00fc\npattern = orders-\\d+\n".getBytes("UTF-8")
def letters = org.apache.kafka.common.utils.Utils.loadProps(file.path)
file.delete()
say("a letter outside ASCII is read as", letters["name"].toString().codePoints().toArray().toList())
say("a single backslash is read as", letters["pattern"])
say("behind a byte order mark the first key is", letters["first"])

// ACLs
def all = new AccessControlEntry("User:a", "*", AclOperation.ALL, AclPermissionType.ALLOW)
say("ALL becomes", invoke(of("mirror.MirrorSourceConnector"), null, "downgradeAllowAllACL", all).operation())

// a refused read
def reader = new KafkaConsumer(["bootstrap.servers": "127.0.0.1:1"], new ByteArrayDeserializer(),
    new ByteArrayDeserializer()) {
    ConsumerRecords poll(Duration within) { throw new TopicAuthorizationException("orders") }
}
def task = of("mirror.MirrorSourceTask").declaredConstructors.find { it.parameterCount == 0 }.newInstance()
field(of("mirror.MirrorSourceTask"), "consumer").set(task, reader)
field(of("mirror.MirrorSourceTask"), "consumerAccess").set(task, new Semaphore(1))
field(of("mirror.MirrorSourceTask"), "pollTimeout").set(task, Duration.ofMillis(1))
say("a task whose read is refused returns", task.poll())
