package peers;

import java.util.List;
import java.util.Objects;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** W1 or W2 on Kafka Streams, exactly once. Configured by the environment: see process.py and peers.py. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        boolean breaker = env("WORKLOAD").equals("w1");
        Topology topology = breaker
                ? topology(Json.Call.class, Json.Breaker.class, BreakerProcessor::new, List.of("breaker-transitions"))
                : topology(
                        Json.Message.class,
                        Json.Saga.class,
                        SagaProcessor::new,
                        List.of("inventory-commands", "payment-commands", "fulfillment-commands", "saga-events"));
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, env("APP_ID"));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("BOOTSTRAP"));
        config.put(StreamsConfig.STATE_DIR_CONFIG, env("STATE_DIR"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("THREADS"));
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env("COMMIT_MS"));
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), env("INSTANCE"));
        KafkaStreams streams = new KafkaStreams(topology, config);
        streams.setGlobalStateRestoreListener(new Restored());
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static <V, S> Topology topology(
            Class<V> value, Class<S> state, ProcessorSupplier<String, V, String, Object> processor, List<String> outputs) {
        StoreBuilder<KeyValueStore<String, S>> store = Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("state"), Serdes.String(), Json.serde(state));
        if (env("CACHE").equals("on")) {
            store = store.withCachingEnabled();
        }
        Serde<Object> out = Json.serde(Object.class);
        Topology topology = new Topology()
                .addSource("in", new StringDeserializer(), Json.serde(value).deserializer(), env("IN_TOPIC"))
                .addProcessor("step", processor, "in")
                .addStateStore(store, "step");
        for (String name : outputs) {
            topology.addSink(name, name + env("OUT_SUFFIX"), new StringSerializer(), out.serializer(), "step");
        }
        return topology;
    }

    private static String env(String name) {
        return Objects.requireNonNull(System.getenv(name), name);
    }
}
