#!/bin/sh
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS--Xms128M -Xmx384M}" CLASS_ARCHIVE=broker
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
