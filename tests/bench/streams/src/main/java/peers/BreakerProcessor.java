package peers;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** W1: one sliding-window breaker for each key. */
final class BreakerProcessor implements Processor<String, Json.Call, String, Object> {
    private ProcessorContext<String, Object> context;
    private KeyValueStore<String, Json.Breaker> store;

    @Override
    public void init(ProcessorContext<String, Object> context) {
        this.context = context;
        store = context.getStateStore("state");
    }

    @Override
    public void process(Record<String, Json.Call> record) {
        Begun.tell();
        Json.Call call = record.value();
        Json.Breaker breaker = store.get(record.key());
        if (breaker == null) {
            breaker = new Json.Breaker();
            breaker.since = call.ts;
        }
        step(breaker, call, record);
        store.put(record.key(), breaker);
    }

    private void step(Json.Breaker breaker, Json.Call call, Record<String, Json.Call> record) {
        breaker.calls++;
        if (call.outcome.equals("rejected")) {
            breaker.rejected++;
            return;
        }
        if (breaker.state.equals("OPEN")) {
            if (call.ts < breaker.since + 10_000) {
                return;
            }
            move(breaker, "HALF_OPEN", 0, 0, call, record);
        }
        int mark = (call.outcome.equals("success") ? 0 : 1) + (call.duration_ms > 1_000 ? 2 : 0);
        int size = breaker.state.equals("HALF_OPEN") ? 10 : 100;
        String window = breaker.window + (char) ('0' + mark);
        breaker.window = window = window.length() > size ? window.substring(window.length() - size) : window;
        if (window.length() < size) {
            return;
        }
        int failures = 0;
        int slow = 0;
        for (int i = 0; i < size; i++) {
            failures += (window.charAt(i) - '0') & 1;
            slow += (window.charAt(i) - '0') >> 1;
        }
        if (100 * failures >= 50 * size || slow >= size) {
            move(breaker, "OPEN", failures, slow, call, record);
        } else if (size == 10) {
            move(breaker, "CLOSED", failures, slow, call, record);
        }
    }

    private void move(
            Json.Breaker breaker, String to, int failures, int slow, Json.Call call, Record<String, Json.Call> record) {
        breaker.transitions++;
        Json.Transition out = new Json.Transition();
        out.key = record.key();
        out.n = breaker.transitions;
        out.from = breaker.state;
        out.to = to;
        out.ts = call.ts;
        out.calls = breaker.calls;
        out.failures = failures;
        out.slow = slow;
        out.cause = call.id;
        context.forward(record.withValue(out), "breaker-transitions");
        breaker.state = to;
        breaker.since = call.ts;
        breaker.window = "";
    }
}
