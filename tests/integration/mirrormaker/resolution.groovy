// What MirrorMaker itself makes of properties files: herders, and the configuration of each worker and connector.
// Usage: resolution.groovy FOLDER; prints tab-separated lines: file, kind, flow, key, value.
import org.apache.kafka.common.utils.Utils

def type = Class.forName("org.apache.kafka.connect.mirror.MirrorMakerConfig")
def source = Class.forName("org.apache.kafka.connect.mirror.MirrorSourceConnector")
new File(args[0]).listFiles().sort()*.path.each { file ->
    def props = Utils.propsToStringMap(Utils.loadProps(file))
    props.each { key, value -> println([file, "property", "", key, value].join("\t")) }
    def config = type.getConstructor(Map).newInstance(props)
    config.clusterPairs().each { pair ->
        println([file, "herder", pair, "", ""].join("\t"))
        config.workerConfig(pair).each { key, value -> println([file, "worker", pair, key, value].join("\t")) }
        config.connectorBaseConfig(pair, source).each { key, value -> println([file, "connector", pair, key, value].join("\t")) }
    }
}
