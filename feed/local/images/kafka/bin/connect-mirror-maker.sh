#!/bin/sh
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS--Xms128M -Xmx384M}" CLASS_ARCHIVE=mirror
exec /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.connect.mirror.MirrorMaker "$@"
