package peers;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** W2 to W4: order sagas. */
final class SagaProcessor implements Processor<String, Json.Message, String, Object> {
    private static final String[] DO = {"reserve_stock", "authorize_payment", "schedule_shipment", "capture_payment"};
    private static final String[] UNDO = {"release_stock", "void_payment", "cancel_shipment", "refund_payment"};
    private static final String[] TOPIC = {
        "inventory-commands", "payment-commands", "fulfillment-commands", "payment-commands"
    };

    private ProcessorContext<String, Object> context;
    private KeyValueStore<String, Json.Saga> store;

    @Override
    public void init(ProcessorContext<String, Object> context) {
        this.context = context;
        store = context.getStateStore("state");
    }

    @Override
    public void process(Record<String, Json.Message> record) {
        Begun.tell();
        Json.Message message = record.value();
        Json.Saga saga = store.get(record.key());
        if (message.type.equals("start") ? saga == null : saga != null && message.command_id.equals(saga.expect)) {
            saga = step(saga, message, record);
            store.put(record.key(), saga);
        }
    }

    private Json.Saga step(Json.Saga saga, Json.Message message, Record<String, Json.Message> record) {
        if (saga == null) {
            saga = new Json.Saga();
            saga.saga = message.saga;
            saga.order = message.order;
            saga.started = saga.updated = message.ts;
            command(saga, message, "do", record);
            return saga;
        }
        Json.Done done = new Json.Done();
        done.step = message.step;
        done.action = message.action;
        done.ok = message.ok;
        done.ts = message.ts;
        saga.history.add(done);
        saga.updated = message.ts;
        if (saga.status.equals("running") && message.ok) {
            if (++saga.step == DO.length) {
                end(saga, message, "completed", record);
            } else {
                command(saga, message, "do", record);
            }
            return saga;
        }
        saga.status = "compensating";
        if (--saga.step < 0) {
            end(saga, message, "compensated", record);
        } else {
            command(saga, message, "undo", record);
        }
        return saga;
    }

    private void command(Json.Saga saga, Json.Message message, String action, Record<String, Json.Message> record) {
        saga.sent++;
        saga.expect = saga.saga + "-" + saga.sent;
        Json.Command out = new Json.Command();
        out.id = saga.expect;
        out.saga = saga.saga;
        out.cause = message.id;
        out.ts = message.ts;
        out.command = (action.equals("do") ? DO : UNDO)[saga.step];
        out.action = action;
        out.order = saga.order;
        context.forward(record.withValue(out), TOPIC[saga.step]);
    }

    private void end(Json.Saga saga, Json.Message message, String status, Record<String, Json.Message> record) {
        saga.status = status;
        saga.expect = null;
        Json.End out = new Json.End();
        out.id = saga.saga + "-end";
        out.saga = saga.saga;
        out.cause = message.id;
        out.ts = message.ts;
        out.status = status;
        out.replies = saga.history.size();
        out.order_id = saga.order.order_id;
        context.forward(record.withValue(out), "saga-events");
    }
}
