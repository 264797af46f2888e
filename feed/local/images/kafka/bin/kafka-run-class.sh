#!/bin/sh
# What tests use of Kafka's own script of this name: the same variables with the same meaning, and class-data archives.
: "${KAFKA_HEAP_OPTS=-Xmx256M}"
: "${KAFKA_JVM_PERFORMANCE_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true}"
: "${KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.xml}"

shared=
if [ -n "${CLASS_ARCHIVE-}" ]; then
  archive=/opt/kafka/$CLASS_ARCHIVE.jsa
  if [ -n "${CLASS_NOTES-}" ]; then shared="-XX:ArchiveClassesAtExit=$archive"; else shared="-XX:SharedArchiveFile=$archive"; fi
  unset CLASS_ARCHIVE # it is this program's alone
fi
class_path= # by name, since an archive fits one order only
for jar in /opt/kafka/libs/*.jar; do class_path=$class_path:$jar; done
# shellcheck disable=SC2086 # options are lists of words
exec java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_LOG4J_OPTS $shared -Xlog:disable -Xlog:all=error:stderr \
  ${KAFKA_JMX_OPTS-} ${KAFKA_OPTS-} -cp "${class_path#:}" "$@"
