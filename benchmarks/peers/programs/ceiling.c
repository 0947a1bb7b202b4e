/* What librdkafka and a minimal scan allow: one thread takes messages, scans JSON and counts, and checks next to nothing.
 *
 *     ceiling LIBRDKAFKA BOOTSTRAP TOPIC PARTITIONS MESSAGES ROWS
 *
 * Counted is per gate, direction and 10 s window, with one watermark per partition (5 s), as Hitonami does; there are no
 * duplicates, registry, release rules, snapshots or database here. Rows: window start (ms), gate, direction, count.
 * With - for ROWS messages are taken and dropped, neither scanned nor counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GATES = 250, PANES = 1024, PARTITIONS = 64, BATCH = 1000, PANE_MS = 10000, BOUND_MS = 5000, CONSUMER = 1 };

typedef struct {
    int error;
    void *topic;
    int32_t partition;
    const char *payload;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *private;
} message;

static void *library;

static void *named(const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "no %s\n", name);
        exit(1);
    }
    return found;
}

typedef struct {
    int gate, direction;
    int64_t ts;
} event;

/* The fields in any order; 0 for what is no whole event with a sensor of a known gate. */
static int scan(const char *at, const char *end, event *into) {
    enum { SENSOR = 1, TS = 2, TYPE = 4, DIR = 8 };
    int found = 0;
    if (at == end || *at++ != '{') return 0;
    while (at < end && *at == '"') {
        const char *key = ++at;
        at = memchr(at, '"', end - at);
        if (!at) return 0;
        size_t key_size = at - key;
        if (++at == end || *at++ != ':' || at == end) return 0;
        if (*at == '"') {
            const char *value = ++at;
            at = memchr(at, '"', end - at);
            if (!at) return 0;
            size_t size = at++ - value;
            if (key_size == 6 && !memcmp(key, "sensor", 6)) {
                if (size < 5) return 0;
                unsigned a = value[0] - '0', b = value[1] - '0', c = value[2] - '0';
                if (a > 9 || b > 9 || c > 9) return 0;
                into->gate = a * 100 + b * 10 + c;
                if (into->gate >= GATES) return 0;
                found |= SENSOR;
            } else if (key_size == 4 && !memcmp(key, "type", 4)) {
                if (size != 5 || memcmp(value, "cross", 5)) return 0;
                found |= TYPE;
            } else if (key_size == 3 && !memcmp(key, "dir", 3)) {
                if (size != 2) return 0;
                into->direction = value[0] == 'b';
                found |= DIR;
            }
        } else {
            int64_t number = 0;
            const char *first = at;
            while (at < end && (unsigned)(*at - '0') < 10) number = number * 10 + (*at++ - '0');
            if (at == first) return 0;
            if (key_size == 2 && key[0] == 't' && key[1] == 's') {
                into->ts = number;
                found |= TS;
            }
        }
        if (at == end) return 0;
        if (*at == '}') return found == (SENSOR | TS | TYPE | DIR);
        if (*at++ != ',') return 0;
    }
    return 0;
}

static uint32_t counts[PANES][GATES][2];
static int64_t pane_of[PANES];

static void close_until(int64_t pane, FILE *rows) {
    for (int slot = 0; slot < PANES; slot++) {
        if (pane_of[slot] < 0 || pane_of[slot] >= pane) continue;
        for (int gate = 0; gate < GATES; gate++)
            for (int direction = 0; direction < 2; direction++)
                if (counts[slot][gate][direction])
                    fprintf(rows, "%lld\t%03d\t%s\t%u\n", (long long)pane_of[slot] * PANE_MS, gate,
                            direction ? "ba" : "ab", counts[slot][gate][direction]);
        memset(counts[slot], 0, sizeof counts[slot]);
        pane_of[slot] = -1;
    }
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    library = dlopen(argv[1], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    void *(*conf_new)(void) = named("rd_kafka_conf_new");
    int (*conf_set)(void *, const char *, const char *, char *, size_t) = named("rd_kafka_conf_set");
    void *(*make)(int, void *, char *, size_t) = named("rd_kafka_new");
    int (*poll_set_consumer)(void *) = named("rd_kafka_poll_set_consumer");
    void *(*queue_get_consumer)(void *) = named("rd_kafka_queue_get_consumer");
    long (*consume)(void *, int, message **, size_t) = named("rd_kafka_consume_batch_queue");
    void (*destroy)(message *) = named("rd_kafka_message_destroy");
    void *(*list_new)(int) = named("rd_kafka_topic_partition_list_new");
    void *(*list_add)(void *, const char *, int32_t) = named("rd_kafka_topic_partition_list_add");
    int (*list_set_offset)(void *, const char *, int32_t, int64_t) = named("rd_kafka_topic_partition_list_set_offset");
    int (*assign)(void *, void *) = named("rd_kafka_assign");

    const char *topic = argv[3];
    int partitions = atoi(argv[4]);
    int64_t messages = atoll(argv[5]), read = 0, bad = 0, late = 0, closed = 0;
    int alone = !strcmp(argv[6], "-");
    FILE *rows = fopen(alone ? "/dev/null" : argv[6], "w");
    if (!rows || partitions < 1 || partitions > PARTITIONS) return 2;

    char text[512];
    void *conf = conf_new();
    const char *settings[][2] = {
        {"bootstrap.servers", argv[2]},          {"group.id", "ceiling"},
        {"enable.auto.commit", "false"},         {"fetch.message.max.bytes", "4194304"},
        {"queued.min.messages", "200000"},       {"queued.max.messages.kbytes", "65536"},
        {"fetch.queue.backoff.ms", "1"},         {"check.crcs", "false"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (conf_set(conf, settings[i][0], settings[i][1], text, sizeof text)) {
            fprintf(stderr, "%s\n", text);
            return 1;
        }
    void *client = make(CONSUMER, conf, text, sizeof text);
    if (!client) {
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    poll_set_consumer(client);
    void *queue = queue_get_consumer(client);
    void *list = list_new(partitions);
    for (int p = 0; p < partitions; p++) {
        list_add(list, topic, p);
        list_set_offset(list, topic, p, 0);
    }
    assign(client, list);

    static message *batch[BATCH];
    static int64_t watermark[PARTITIONS];
    memset(pane_of, -1, sizeof pane_of);
    while (read < messages) {
        long taken = consume(queue, 20, batch, BATCH); /* it waits for a whole batch */
        for (long i = 0; i < taken; i++) {
            message *m = batch[i];
            event e = {0, 0, 0};
            if (m->error) {
                fprintf(stderr, "error %d\n", m->error);
                return 1;
            }
            read++;
            if (alone) {
                destroy(m);
                continue;
            }
            if (!scan(m->payload, m->payload + m->size, &e)) {
                bad++;
            } else {
                int64_t pane = e.ts / PANE_MS, *mark = &watermark[m->partition];
                if ((pane + 1) * PANE_MS <= *mark) {
                    late++;
                } else {
                    int slot = pane % PANES;
                    if (pane_of[slot] != pane) {
                        if (pane_of[slot] >= 0) {
                            fprintf(stderr, "partitions are too far apart\n");
                            return 1;
                        }
                        pane_of[slot] = pane;
                    }
                    counts[slot][e.gate][e.direction]++;
                    if (e.ts - BOUND_MS > *mark) *mark = e.ts - BOUND_MS;
                }
            }
            destroy(m);
        }
        int64_t least = watermark[0];
        for (int p = 1; p < partitions; p++)
            if (watermark[p] < least) least = watermark[p];
        if (least / PANE_MS > closed) close_until(closed = least / PANE_MS, rows);
    }
    close_until(INT64_MAX, rows);
    fclose(rows);
    printf("read %lld bad %lld late %lld\n", (long long)read, (long long)bad, (long long)late);
    fflush(stdout);
    _exit(0); /* what is left in librdkafka's queues needs no orderly end */
}
