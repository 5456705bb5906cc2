package peers;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** Tells when each partition's restore begins and ends, and how many records it took. */
final class Restored implements StateRestoreListener {
    @Override
    public void onRestoreStart(TopicPartition at, String store, long first, long end) {
        System.out.println("restoring " + System.currentTimeMillis());
    }

    @Override
    public void onBatchRestored(TopicPartition at, String store, long last, long count) {}

    @Override
    public void onRestoreEnd(TopicPartition at, String store, long total) {
        System.out.println("restored " + System.currentTimeMillis() + " " + total);
    }
}
