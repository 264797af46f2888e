// Which keys each part of this Kafka version defines. Prints: part, then its keys behind a tab, separated by commas.
def field = { type, name ->
    def found = Class.forName(type).getDeclaredField(name)
    found.accessible = true
    found.get(null).names()
}
def method = { type, name ->
    def found = Class.forName(type).declaredMethods.find { it.name == name && it.parameterCount == 0 }
    found.accessible = true
    found.invoke(null).names()
}
def mirror = "org.apache.kafka.connect.mirror."
def crypto = Class.forName("org.apache.kafka.connect.runtime.distributed.Crypto").getDeclaredField("SYSTEM")
crypto.accessible = true
def worker = Class.forName("org.apache.kafka.connect.runtime.distributed.DistributedConfig").declaredMethods.find {
    it.name == "config" && it.parameterCount <= 1
}
worker.accessible = true
def arguments = worker.parameterCount == 1 ? [crypto.get(null)] as Object[] : [] as Object[]
def parts = [
    source: field(mirror + "MirrorSourceConfig", "CONNECTOR_CONFIG_DEF"),
    checkpoint: field(mirror + "MirrorCheckpointConfig", "CONNECTOR_CONFIG_DEF"),
    heartbeat: field(mirror + "MirrorHeartbeatConfig", "CONNECTOR_CONFIG_DEF"),
    client: field(mirror + "MirrorClientConfig", "CLIENT_CONFIG_DEF"),
    mirrormaker: method(mirror + "MirrorMakerConfig", "config"),
    connector: method("org.apache.kafka.connect.runtime.SourceConnectorConfig", "configDef"),
    producer: org.apache.kafka.clients.producer.ProducerConfig.configNames(),
    consumer: org.apache.kafka.clients.consumer.ConsumerConfig.configNames(),
    admin: org.apache.kafka.clients.admin.AdminClientConfig.configNames(),
    worker: worker.invoke(null, arguments).names(),
]
parts.each { part, keys -> println part + "\t" + keys.sort().join(",") }
