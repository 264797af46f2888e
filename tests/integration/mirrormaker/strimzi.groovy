// Loads KafkaMirrorMaker2 files into Strimzi's own model classes and prints the path of every field that they do not know.
import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory

def type = Class.forName("io.strimzi.api.kafka.model.mirrormaker2.KafkaMirrorMaker2")
def name = ""
def walk
walk = { node, path ->
    if (node == null) return
    if (node instanceof Collection) {
        node.eachWithIndex { member, index -> walk(member, "${path}[${index}]") }
        return
    }
    if (!node.class.name.startsWith("io.strimzi")) return
    if (node.metaClass.respondsTo(node, "getAdditionalProperties")) {
        (node.additionalProperties ?: [:]).keySet().each { println "${name} unknown ${path}.${it}" }
    }
    node.class.methods.findAll {
        it.name.startsWith("get") && it.parameterCount == 0 && it.name != "getAdditionalProperties" &&
            (it.returnType.name.startsWith("io.strimzi") || Collection.isAssignableFrom(it.returnType))
    }.each { walk(it.invoke(node), path + "." + it.name.substring(3).uncapitalize()) }
}

// what the doctor says of the model: fields by level, and the keys that the operator drops
def model = "io.strimzi.api.kafka.model.mirrormaker2.KafkaMirrorMaker2"
def fields = { it.getAnnotation(com.fasterxml.jackson.annotation.JsonPropertyOrder).value().join(" ") }
[spec: "Spec", target: "TargetClusterSpec", source: "ClusterSpec", mirror: "MirrorSpec", connector: "ConnectorSpec"].each {
    println "fields ${it.key} ${fields(Class.forName(model + it.value))}"
}
def cluster = Class.forName(model + "TargetClusterSpec")
println "dropped ${cluster.FORBIDDEN_PREFIXES}"
println "kept ${cluster.FORBIDDEN_PREFIX_EXCEPTIONS}"
println "dropped of connectors ${Class.forName(model + "ConnectorSpec").FORBIDDEN_PARAMETERS}"

args.each {
    def file = new File(it)
    name = file.name
    def resource = new ObjectMapper(new YAMLFactory()).readValue(file, type)
    walk(resource.spec, "spec")
    println "${name} loaded ${resource.metadata.name} with ${resource.spec.mirrors.size()} mirror to ${resource.spec.target.alias}"
}
