package peers;

import java.util.concurrent.atomic.AtomicBoolean;

/** Prints when the first record was processed: the harness measures from there. */
final class Begun {
    private static final AtomicBoolean TOLD = new AtomicBoolean();

    private Begun() {}

    static void tell() {
        if (!TOLD.get() && TOLD.compareAndSet(false, true)) {
            System.out.println("begun " + System.currentTimeMillis());
        }
    }
}
