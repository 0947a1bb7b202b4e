import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams: JSON of Kafka, 10 s windows with 5 s of grace, emitted when they close, a count per gate and direction.
 *
 * <p>StreamsCount BOOTSTRAP TOPIC MESSAGES CLOSING_TOPIC CLOSING_MESSAGES THREADS STATE ROWS; reads the topic, the closing
 * one, and the topic again. The topic's key is the gate, so nothing is repartitioned; both directions are one value.
 */
public class StreamsCount {
    public static class Event {
        public String sensor;
        public long ts;
        public String type;
        public String dir;
        public long seq;

        boolean whole(String gate) {
            return sensor != null && sensor.startsWith(gate) && ts > 0 && "cross".equals(type) && dir != null;
        }
    }

    private record Cost(double seconds, double cpu) {
        @Override
        public String toString() {
            return String.format("[%.3f,%.3f]", seconds, cpu);
        }
    }

    private static final ObjectReader READER =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false).readerFor(Event.class);

    private static double cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    private static Cost read(String bootstrap, String topic, long messages, String threads, String state, Path rows)
            throws Exception {
        double begun = System.nanoTime() / 1e9;
        double used = cpu();
        AtomicLong done = new AtomicLong(); // messages that were counted or thrown away, not those that wait
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "peers-" + UUID.randomUUID());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "5000");
        settings.put(
                StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG, LogAndContinueExceptionHandler.class.getName());
        settings.put("auto.offset.reset", "earliest");
        settings.put("consumer.max.poll.records", "10000");
        settings.put("consumer.fetch.max.bytes", "52428800");
        settings.put("consumer.max.partition.fetch.bytes", "10485760");
        settings.put("producer.linger.ms", "50");
        settings.put("producer.batch.size", "262144");
        // closed windows are looked for at every record: the last one of the topic closes the last windows
        settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);

        Deserializer<Event> decode =
                (name, bytes) -> {
                    try {
                        return READER.readValue(bytes);
                    } catch (IOException error) {
                        done.incrementAndGet();
                        throw new SerializationException(error);
                    }
                };
        Serde<Event> event = Serdes.serdeFrom((name, value) -> new byte[0], decode);
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(rows))) {
            StreamsBuilder builder = new StreamsBuilder();
            builder.stream(
                            topic,
                            Consumed.with(Serdes.String(), event)
                                    .withTimestampExtractor(
                                            (record, before) -> {
                                                long ts = ((Event) record.value()).ts;
                                                if (ts <= 0) done.incrementAndGet();
                                                return ts > 0 ? ts : -1; // thrown away
                                            }))
                    .filter(
                            (gate, value) -> {
                                done.incrementAndGet();
                                return value.whole(gate);
                            })
                    .groupByKey(Grouped.with(Serdes.String(), event))
                    .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5)))
                    .emitStrategy(EmitStrategy.onWindowClose())
                    .aggregate(
                            () -> 0L, // ab in the lower half, ba in the upper
                            (gate, value, both) -> value.dir.equals("ab") ? both + 1 : both + (1L << 32),
                            Materialized.<String, Long, WindowStore<Bytes, byte[]>>with(Serdes.String(), Serdes.Long())
                                    .withRetention(Duration.ofMinutes(10)) // it outlives the last events' leap in time
                                    .withCachingDisabled()) // a cache is searched from 1970 on at first, for 20 s
                    .toStream()
                    .foreach(
                            (key, both) -> {
                                String cell = key.window().start() + "\t" + key.key();
                                synchronized (out) {
                                    if ((int) (long) both > 0) out.println(cell + "\tab\t" + (int) (long) both);
                                    if (both >> 32 > 0) out.println(cell + "\tba\t" + (both >> 32));
                                }
                            });
            org.apache.kafka.streams.KafkaStreams streams =
                    new org.apache.kafka.streams.KafkaStreams(builder.build(), settings);
            streams.start();
            while (done.get() < messages && streams.state() != State.ERROR) Thread.sleep(5);
            Cost cost = new Cost(System.nanoTime() / 1e9 - begun, cpu() - used);
            streams.close(Duration.ofSeconds(30)); // ends the message it is at
            streams.cleanUp();
            return cost;
        }
    }

    public static void main(String[] args) throws Exception {
        Path rows = Path.of(args[7]);
        read(args[0], args[1], Long.parseLong(args[2]), args[5], args[6], rows);
        Cost start = read(args[0], args[3], Long.parseLong(args[4]), args[5], args[6], rows);
        Cost whole = read(args[0], args[1], Long.parseLong(args[2]), args[5], args[6], rows);
        System.out.println("{\"whole\":" + whole + ",\"start\":" + start + "}");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
