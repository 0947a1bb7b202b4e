"""Spark Structured Streaming, local, availableNow: JSON of Kafka, watermark of 5 s, windows of 10 s, append.

python spark_count.py BOOTSTRAP TOPIC CLOSING_TOPIC JARS WORK ROWS

Reads the topic, the closing one, and the topic again.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

bootstrap, topic, closing, jars, work, out = sys.argv[1:]
SCHEMA = "sensor STRING, ts BIGINT, type STRING, dir STRING, seq BIGINT"
TICKS = os.sysconf("SC_CLK_TCK")
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", ",".join(str(jar) for jar in Path(jars).glob("*.jar")))
    .config("spark.driver.memory", "2g")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
jvm = spark._jvm.java.lang.ProcessHandle.current().pid()


def cpu_s():
    """CPU seconds of the JVM and of this process."""
    used = Path(f"/proc/{jvm}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(used[11]) + int(used[12])) / TICKS + time.process_time()


def read(name):
    """(seconds, CPU seconds), rows."""
    begun, used, rows = time.monotonic(), cpu_s(), []
    source = spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("subscribe", name)
    events = (
        source.option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", 1_000_000)
        .load()
        .select(sql.from_json(sql.col("value").cast("string"), SCHEMA).alias("event"))
        .select("event.*")
        .where("type = 'cross' AND sensor IS NOT NULL AND ts IS NOT NULL AND dir IS NOT NULL")
    )
    counts = (
        events.select(sql.substring("sensor", 1, 3).alias("gate"), "dir", sql.timestamp_millis("ts").alias("happened"))
        .withWatermark("happened", "5 seconds")
        .groupBy(sql.window("happened", "10 seconds"), "gate", "dir")
        .count()
        .select((sql.unix_timestamp("window.start") * 1000).alias("start"), "gate", "dir", "count")
    )
    query = (
        counts.writeStream.outputMode("append")
        .trigger(availableNow=True)
        .option("checkpointLocation", f"{work}/{uuid.uuid4()}")
        .foreachBatch(lambda batch, _number: rows.extend(batch.collect()))
        .start()
    )
    query.awaitTermination()
    return [time.monotonic() - begun, cpu_s() - used], rows


read(topic)
start, _ = read(closing)
whole, rows = read(topic)
with open(out, "w") as file:
    for row in rows:
        file.write(f"{row['start']}\t{row['gate']}\t{row['dir']}\t{row['count']}\n")
print(json.dumps({"whole": whole, "start": start}, separators=(",", ":")), flush=True)
spark.stop()
