import com.sun.management.OperatingSystemMXBean;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.UUID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Flink SQL in a local mini cluster: JSON of Kafka, watermark of 5 s, TUMBLE of 10 s, count per gate and direction.
 *
 * <p>FlinkSql BOOTSTRAP TOPIC CLOSING_TOPIC SLOTS ROWS; reads the topic, the closing one, and the topic again.
 */
public class FlinkSql {
    private record Cost(double seconds, double cpu) {
        @Override
        public String toString() {
            return String.format("[%.3f,%.3f]", seconds, cpu);
        }
    }

    private static double cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    private static Cost read(String bootstrap, String topic, String slots, Path rows) throws Exception {
        double begun = System.nanoTime() / 1e9;
        double used = cpu();
        Configuration settings = new Configuration();
        settings.setString("parallelism.default", slots);
        settings.setString("taskmanager.numberOfTaskSlots", slots);
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("taskmanager.memory.network.min", "64mb");
        settings.setString("taskmanager.memory.network.max", "64mb");
        settings.setString("taskmanager.memory.managed.size", "256mb");
        settings.setString("table.local-time-zone", "UTC");
        StreamTableEnvironment tables =
                StreamTableEnvironment.create(
                        StreamExecutionEnvironment.getExecutionEnvironment(settings),
                        EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
        tables.executeSql(
                "CREATE TABLE events (sensor STRING, ts BIGINT, `type` STRING, dir STRING, seq BIGINT,"
                        + " happened AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR happened AS happened - INTERVAL '5' SECOND)"
                        + " WITH ('connector' = 'kafka', 'topic' = '" + topic + "',"
                        + " 'properties.bootstrap.servers' = '" + bootstrap + "',"
                        + " 'properties.group.id' = '" + UUID.randomUUID() + "',"
                        + " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',"
                        + " 'format' = 'json', 'json.ignore-parse-errors' = 'true')");
        tables.executeSql(
                "CREATE VIEW passages AS SELECT SUBSTRING(sensor, 1, 3) AS gate, dir, happened FROM events"
                        + " WHERE `type` = 'cross' AND sensor IS NOT NULL AND ts IS NOT NULL AND dir IS NOT NULL");
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(rows));
                CloseableIterator<Row> counts =
                        tables.executeSql(
                                        "SELECT window_start, gate, dir, COUNT(*) FROM TABLE(TUMBLE(TABLE passages,"
                                                + " DESCRIPTOR(happened), INTERVAL '10' SECONDS))"
                                                + " GROUP BY window_start, window_end, gate, dir")
                                .collect()) {
            while (counts.hasNext()) {
                Row row = counts.next();
                long start = ((LocalDateTime) row.getField(0)).toInstant(ZoneOffset.UTC).toEpochMilli();
                out.println(start + "\t" + row.getField(1) + "\t" + row.getField(2) + "\t" + row.getField(3));
            }
        }
        return new Cost(System.nanoTime() / 1e9 - begun, cpu() - used);
    }

    public static void main(String[] args) throws Exception {
        Path rows = Path.of(args[4]);
        read(args[0], args[1], args[3], rows);
        Cost start = read(args[0], args[2], args[3], rows);
        Cost whole = read(args[0], args[1], args[3], rows);
        System.out.println("{\"whole\":" + whole + ",\"start\":" + start + "}");
        System.out.flush();
        Runtime.getRuntime().halt(0); // threads of the mini cluster would hold it
    }
}
