import java.lang.management.LockInfo;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.log4j.Level;
import org.apache.log4j.Logger;
import org.apache.spark.SparkConf;
import org.apache.spark.memory.ExecutionMemoryPool;
import org.apache.spark.memory.MemoryConsumer;
import org.apache.spark.memory.MemoryManager;
import org.apache.spark.memory.MemoryMode;
import org.apache.spark.memory.MemoryPool;
import org.apache.spark.memory.TaskMemoryManager;
import org.apache.spark.memory.UnifiedMemoryManager;
import org.apache.spark.serializer.JavaSerializer;
import org.apache.spark.serializer.SerializerManager;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.BlockInfo;
import org.apache.spark.storage.BlockInfoManager;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.storage.memory.BlockEvictionHandler;
import org.apache.spark.storage.memory.DeserializedMemoryEntry;
import org.apache.spark.storage.memory.MemoryStore;
import org.apache.spark.unsafe.memory.MemoryBlock;
import org.apache.spark.util.io.ChunkedByteBuffer;
import scala.Function0;
import scala.Option;
import scala.collection.Iterator;
import scala.reflect.ClassTag;
import scala.runtime.AbstractFunction0;
import scala.util.Either;

/**
 * Plays a list of calls on Spark's own memory manager and memory store, and says after each call
 * what it returned and what the pools and the store look like.
 *
 * Memory manager, memory store, block locks, task memory managers and consumers are Spark's. What
 * Spark's BlockManager does around the store (which form a block takes, when it goes to disk) is
 * done here in the same order, with a disk that remembers nothing but names.
 *
 * A call that has to wait keeps its thread; another thread then plays on.
 */
public class MemoryPlayer {
    private static final long PATIENCE_NANOS = 60000000000L;
    private static final ClassTag ANY = scala.reflect.ClassTag$.MODULE$.Any();
    private static final SerializerManager SERIALIZERS =
        new SerializerManager(new JavaSerializer(new SparkConf(false)), new SparkConf(false));

    private final ObjectMapper json = new ObjectMapper();
    private final Unmanaged unmanaged = new Unmanaged();

    /** Spark sets up its log when it first uses it; from then on only errors go there. */
    public MemoryPlayer() {
        manager();
        Logger.getRootLogger().setLevel(Level.ERROR);
    }

    /** Plays one sequence; text in and text out are JSON. */
    public String play(String text) throws Exception {
        Map sequence = (Map) json.readValue(text, Object.class);
        unmanaged.clear();
        Game game = new Game(sequence, unmanaged);
        try {
            return json.writeValueAsString(game.play());
        } finally {
            game.end();
        }
    }

    /** Nanoseconds that a number of pairs of calls takes: a task asks, and gives back. */
    public long timeExecution(int pairs) {
        UnifiedMemoryManager manager = manager();
        long start = System.nanoTime();
        for (int i = 0; i < pairs; i++) {
            manager.acquireExecutionMemory(1000L, 1L, MemoryMode.ON_HEAP);
            manager.releaseExecutionMemory(1000L, 1L, MemoryMode.ON_HEAP);
        }
        return System.nanoTime() - start;
    }

    /** Nanoseconds that a number of pairs of calls takes: memory for a block, and its release. */
    public long timeStorage(int pairs) {
        UnifiedMemoryManager manager = manager();
        BlockId block = BlockId.apply("rdd_0_0");
        long start = System.nanoTime();
        for (int i = 0; i < pairs; i++) {
            manager.acquireStorageMemory(block, 1000L, MemoryMode.ON_HEAP);
            manager.releaseStorageMemory(1000L, MemoryMode.ON_HEAP);
        }
        return System.nanoTime() - start;
    }

    private static UnifiedMemoryManager manager() {
        return new UnifiedMemoryManager(new SparkConf(false), 1L << 30, 1L << 29, 1);
    }

    /** One memory manager with everything around it, from the first call to the last. */
    private static class Game {
        final MemoryManager manager;
        final MemoryStore store;
        final BlockInfoManager locks;
        final LinkedHashMap entries;
        final Unmanaged unmanaged;
        final LinkedHashSet onDisk = new LinkedHashSet();
        final Map contents = new HashMap();
        final Map tasks = new HashMap();
        final Map consumers = new HashMap();
        final Map pages = new HashMap();
        final List calls;
        final List played = new ArrayList();
        final List waiting = new ArrayList();
        Player player;
        volatile boolean over = false;
        int number = -1;
        List happened = new ArrayList();
        Throwable failure;

        Game(Map sequence, Unmanaged unmanaged) throws Exception {
            SparkConf conf = new SparkConf(false);
            for (Object setting : ((Map) sequence.get("conf")).entrySet()) {
                Map.Entry entry = (Map.Entry) setting;
                conf.set((String) entry.getKey(), (String) entry.getValue());
            }
            this.unmanaged = unmanaged;
            calls = (List) sequence.get("calls");
            manager = (MemoryManager) made(
                Class.forName("org.apache.spark.memory." + sequence.get("manager")),
                conf,
                number(((List) sequence.get("sizes")).get(0)),
                number(((List) sequence.get("sizes")).get(1)),
                (int) number(sequence.get("num_cores")));
            locks = (BlockInfoManager) made(BlockInfoManager.class, false);
            final Game game = this;
            store = new MemoryStore(conf, locks, SERIALIZERS, manager, new BlockEvictionHandler() {
                public StorageLevel dropFromMemory(BlockId id, Function0 data, ClassTag tag) {
                    return game.dropFromMemory(id);
                }
            });
            manager.setMemoryStore(store);
            entries = (LinkedHashMap) method(MemoryStore.class, "entries").invoke(store);
        }

        /** Has the calls played by one thread, and by a fresh one whenever that one waits. */
        List play() throws Exception {
            long deadline = System.nanoTime() + PATIENCE_NANOS;
            played.add(state());
            player = new Player(this);
            player.start();
            while (player.isAlive()) {
                player.join(1L);
                if (relieved()) {
                    waiting.add(player);
                    record(new ArrayList());
                    player = new Player(this);
                    player.start();
                } else if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("call " + number + " neither returns nor waits: "
                        + java.util.Arrays.toString(player.getStackTrace()));
                }
            }
            if (failure != null) {
                throw new IllegalStateException("call " + number + " could not be played", failure);
            }
            return played;
        }

        /** Nobody is notified while this holds the manager's lock, so what it sees stays true. */
        boolean relieved() {
            synchronized (manager) {
                player.relieved = waitsForManager(player) && settled();
                return player.relieved;
            }
        }

        /** Whether every call that had to wait has returned or waits again. */
        boolean settled() {
            synchronized (manager) {
                for (Object player : waiting) {
                    Thread thread = (Thread) player;
                    if (thread.isAlive() && !waitsForManager(thread)) {
                        return false;
                    }
                }
                return true;
            }
        }

        /** A thread that was notified is BLOCKED from that moment on, no longer WAITING. */
        boolean waitsForManager(Thread thread) {
            if (thread.getState() != Thread.State.WAITING) {
                return false;
            }
            ThreadInfo info = ManagementFactory.getThreadMXBean().getThreadInfo(thread.getId());
            LockInfo lock = info == null ? null : info.getLockInfo();
            return lock != null
                && lock.getIdentityHashCode() == System.identityHashCode(manager);
        }

        /** What a player's thread does: call after call, until one has kept it waiting. */
        void playOn(Player player) throws Exception {
            while (!over && number + 1 < calls.size()) {
                number++;
                happened = new ArrayList();
                player.number = number;
                player.call((List) calls.get(number));
                if (player.relieved) {
                    return;
                }
                while (!settled()) {
                    Thread.yield();
                }
                List ended = new ArrayList();
                ended.add(player.outcome);
                record(ended);
            }
        }

        void record(List ended) throws Exception {
            for (Object one : new ArrayList(waiting)) {
                Player player = (Player) one;
                if (!player.isAlive()) {
                    waiting.remove(player);
                    ended.add(player.outcome);
                }
            }
            played.add(new Object[] {ended, happened, state()});
        }

        /** Nothing outlives the game: not a thread that waits, not a page. */
        void end() throws Exception {
            over = true;
            List threads = new ArrayList(waiting);
            threads.add(player);
            for (Object player : threads) {
                ((Thread) player).interrupt();
            }
            for (Object player : threads) {
                ((Thread) player).join(PATIENCE_NANOS / 1000000L);
                if (((Thread) player).isAlive()) {
                    throw new IllegalStateException("a waiting call could not be ended");
                }
            }
            for (Object page : pages.values()) {
                Object[] held = (Object[]) page;
                ((Consumer) held[0]).giveBack((MemoryBlock) held[1]);
            }
        }

        Object answer(List call) throws Exception {
            String name = (String) call.get(0);
            switch (name) {
                case "acquire_execution_memory":
                    return manager.acquireExecutionMemory(
                        number(call.get(1)), number(call.get(2)), mode(call.get(3)));
                case "release_execution_memory":
                    manager.releaseExecutionMemory(
                        number(call.get(1)), number(call.get(2)), mode(call.get(3)));
                    return null;
                case "release_all_execution_memory_for_task":
                    return manager.releaseAllExecutionMemoryForTask(number(call.get(1)));
                case "acquire_storage_memory":
                    return manager.acquireStorageMemory(
                        block(call.get(1)), number(call.get(2)), mode(call.get(3)));
                case "acquire_unroll_memory":
                    return manager.acquireUnrollMemory(
                        block(call.get(1)), number(call.get(2)), mode(call.get(3)));
                case "release_storage_memory":
                    manager.releaseStorageMemory(number(call.get(1)), mode(call.get(2)));
                    return null;
                case "release_unroll_memory":
                    manager.releaseUnrollMemory(number(call.get(1)), mode(call.get(2)));
                    return null;
                case "release_all_storage_memory":
                    manager.releaseAllStorageMemory();
                    return null;
                case "set_unmanaged_memory_used":
                    unmanaged.set(number(call.get(1)), mode(call.get(2)));
                    return null;
                case "put":
                    return put(block(call.get(1)), new Content(number(call.get(2)), null),
                        StorageLevel.fromString((String) call.get(3)));
                case "put_iterator":
                    return put(block(call.get(1)), new Content(0L, (List) call.get(2)),
                        StorageLevel.fromString((String) call.get(3)));
                case "get":
                    return get(block(call.get(1)));
                case "contains":
                    return store.contains(block(call.get(1)));
                case "remove":
                    return remove(block(call.get(1)));
                case "pin":
                    locks.lockForReading(block(call.get(1)), false).get();
                    return null;
                case "unpin":
                    locks.unlock(block(call.get(1)), Option.empty());
                    return null;
                case "evict_blocks_to_free_space":
                    return store.evictBlocksToFreeSpace(
                        Option.apply(call.get(1) == null ? null : block(call.get(1))),
                        number(call.get(2)), mode(call.get(3)));
                case "consumer":
                    return newConsumer(call);
                case "acquire_memory":
                    return consumer(call.get(1)).acquireMemory(number(call.get(2)));
                case "free_memory":
                    consumer(call.get(1)).freeMemory(number(call.get(2)));
                    return null;
                case "allocate_page":
                    return consumer(call.get(1)).page(call.get(2), number(call.get(3)));
                case "free_page":
                    Object[] held = (Object[]) pages.remove(call.get(1));
                    ((Consumer) held[0]).giveBack((MemoryBlock) held[1]);
                    return null;
                case "clean_up_all_allocated_memory":
                    return cleanUp(number(call.get(1)));
                default:
                    throw new IllegalArgumentException("no call has the name " + name);
            }
        }

        // What the store's owner does. Source: BlockManager

        /** doPutBytes and doPutIterator. */
        boolean put(BlockId id, Content content, StorageLevel level) throws Exception {
            BlockInfo info = new BlockInfo(level, ANY, false);
            Method lock = method(BlockInfoManager.class, "lockNewBlockForWriting");
            if (!(Boolean) lock.invoke(locks, fitting(lock.getParameterTypes(), id, info, false))) {
                locks.unlock(id, Option.empty());
                throw new IllegalArgumentException(
                    "requirement failed: Block " + id + " is already present in the MemoryStore");
            }
            boolean stored = false;
            try {
                contents.put(id, content);
                boolean inMemory = level.useMemory() && putInMemory(id, content, level);
                if (!inMemory && level.useDisk()) {
                    onDisk.add(id);
                }
                stored = inMemory || level.useDisk();
                return inMemory;
            } finally {
                if (stored) {
                    locks.unlock(id, Option.empty());
                } else {
                    store.remove(id);
                    locks.removeBlock(id);
                }
            }
        }

        boolean putInMemory(BlockId id, final Content content, StorageLevel level)
                throws Exception {
            MemoryMode mode = level.memoryMode();
            if (content.values == null) {
                return store.putBytes(id, content.size, mode, new AbstractFunction0() {
                    public Object apply() {
                        return new Bytes(content.size);
                    }
                }, ANY);
            }
            Either result;
            try {
                result = (Either) method(MemoryStore.class, "putIterator").invoke(
                    store, id, content.iterator(), ANY, mode, new Values(mode).holder());
            } catch (InvocationTargetException wrapped) {
                if (wrapped.getCause() instanceof Error) {
                    throw (Error) wrapped.getCause();
                }
                throw (Exception) wrapped.getCause();
            }
            if (result.isRight()) {
                return true;
            }
            // What an iterator over the values does when it has reached its end.
            long unrolled = number(result.left().get());
            store.releaseUnrollMemoryForThisTask(mode, unrolled);
            return false;
        }

        /** getLocalValues, maybeCacheDiskValuesInMemory and maybeCacheDiskBytesInMemory. */
        String get(BlockId id) throws Exception {
            Option info = locks.lockForReading(id, false);
            if (info.isEmpty()) {
                return null;
            }
            try {
                StorageLevel level = ((BlockInfo) info.get()).level();
                if (store.contains(id)) {
                    if (isSerialized(id)) {
                        store.getBytes(id).get();
                    } else {
                        store.getValues(id).get();
                    }
                    return "memory";
                }
                Content content = (Content) contents.get(id);
                if (level.useMemory()) {
                    boolean asValues = level.deserialized();
                    putInMemory(id, asValues ? content : content.asBytes(), level);
                }
                return "disk";
            } finally {
                locks.unlock(id, Option.empty());
            }
        }

        /** A look that leaves the order of use as it is. */
        boolean isSerialized(BlockId id) {
            for (Object entry : entries.entrySet()) {
                if (((Map.Entry) entry).getKey().equals(id)) {
                    return !(((Map.Entry) entry).getValue() instanceof DeserializedMemoryEntry);
                }
            }
            throw new IllegalStateException(id + " is not in memory");
        }

        boolean remove(BlockId id) {
            if (locks.get(id).isEmpty()) {
                return false;
            }
            if (locks.lockForWriting(id, false).isEmpty()) {
                throw new IllegalStateException(id + " is read: this would wait");
            }
            store.remove(id);
            onDisk.remove(id);
            locks.removeBlock(id);
            return true;
        }

        StorageLevel dropFromMemory(BlockId id) {
            StorageLevel level = locks.assertBlockIsLockedForWriting(id).level();
            if (level.useDisk()) {
                onDisk.add(id);
            }
            store.remove(id);
            happened.add(new Object[] {"evicted", id.name(), level.useDisk()});
            return level.useDisk() ? StorageLevel.fromString("DISK_ONLY") : StorageLevel.NONE();
        }

        // Tasks

        Object newConsumer(List call) {
            long task = number(call.get(2));
            if (!tasks.containsKey(task)) {
                tasks.put(task, new Task(manager, task));
            }
            Task owner = (Task) tasks.get(task);
            Consumer consumer = new Consumer(
                this, owner, number(call.get(1)), mode(call.get(3)), (String) call.get(4));
            owner.consumers.add(consumer);
            consumers.put(consumer.name, consumer);
            return null;
        }

        Consumer consumer(Object name) {
            return (Consumer) consumers.get(number(name));
        }

        long cleanUp(long task) {
            Task owner = (Task) tasks.get(task);
            for (Object page : new ArrayList(pages.keySet())) {
                if (((Consumer) ((Object[]) pages.get(page))[0]).owner == owner) {
                    pages.remove(page);
                }
            }
            long leaked = owner.memory.cleanUpAllAllocatedMemory();
            owner.forget();
            return leaked;
        }

        // What can be seen from outside

        Map state() throws Exception {
            Map state = new HashMap();
            state.put("pools", new Object[] {
                pool(manager.onHeapStorageMemoryPool()),
                pool(manager.onHeapExecutionMemoryPool()),
                pool(manager.offHeapStorageMemoryPool()),
                pool(manager.offHeapExecutionMemoryPool())});
            state.put("tasks", new Object[] {
                holders(manager.onHeapExecutionMemoryPool()),
                holders(manager.offHeapExecutionMemoryPool())});
            state.put("limits", new long[] {
                manager.maxOnHeapStorageMemory(), manager.maxOffHeapStorageMemory()});
            state.put("blocks", new ArrayList(names(entries.keySet())));
            state.put("disk", names(onDisk));
            state.put("unroll", store.currentUnrollMemory());
            state.put("page_size", manager.pageSizeBytes());
            Map used = new TreeMap();
            for (Object consumer : consumers.values()) {
                used.put(((Consumer) consumer).name, ((Consumer) consumer).held());
            }
            state.put("consumers", used);
            return state;
        }

        static List names(java.util.Collection blocks) {
            List names = new ArrayList();
            for (Object block : blocks) {
                names.add(((BlockId) block).name());
            }
            return names;
        }

        static long[] pool(MemoryPool pool) {
            return new long[] {pool.poolSize(), pool.memoryUsed()};
        }

        /** Each task that is registered in a pool, and what it holds. */
        static Map holders(ExecutionMemoryPool pool) throws Exception {
            Map holders = new TreeMap();
            Iterator tasks = ((scala.collection.Map)
                method(ExecutionMemoryPool.class, "memoryForTask").invoke(pool)).keysIterator();
            while (tasks.hasNext()) {
                long task = number(tasks.next());
                holders.put(task, pool.getMemoryUsageForTask(task));
            }
            return holders;
        }
    }

    /** A thread that plays calls; {@code outcome} is that of the last one it made. */
    private static class Player extends Thread {
        final Game game;
        volatile boolean relieved = false;
        int number;
        Object outcome;

        Player(Game game) {
            setDaemon(true);
            this.game = game;
        }

        public void run() {
            try {
                game.playOn(this);
            } catch (Throwable error) {
                game.failure = error;
            }
        }

        void call(List call) {
            try {
                outcome = new Object[] {number, true, game.answer(call)};
            } catch (Throwable thrown) {
                outcome = new Object[] {
                    number, false,
                    new String[] {thrown.getClass().getName(), thrown.getMessage()}};
            }
        }
    }

    /** What a block holds: a number of bytes, or values of which each has a size. */
    private static class Content {
        final long size;
        final List values;

        Content(long size, List values) {
            this.values = values;
            if (values != null) {
                for (Object value : values) {
                    size += number(value);
                }
            }
            this.size = size;
        }

        Content asBytes() {
            return new Content(size, null);
        }

        Iterator iterator() {
            final java.util.Iterator rest = values.iterator();
            return new scala.collection.AbstractIterator() {
                public boolean hasNext() {
                    return rest.hasNext();
                }

                public Object next() {
                    return rest.next();
                }
            };
        }
    }

    /** Serialized values of which nothing is there but their size. */
    private static class Bytes extends ChunkedByteBuffer {
        final long size;

        Bytes(long size) {
            super(new ByteBuffer[0]);
            this.size = size;
        }

        public long size() {
            return size;
        }
    }

    /** Values of exactly the size that they say: each value is its size. */
    private static class Values implements InvocationHandler {
        final MemoryMode mode;
        long size = 0;

        Values(MemoryMode mode) {
            this.mode = mode;
        }

        /** A ValuesHolder and a MemoryEntryBuilder, which Spark has since 2.4. */
        Object holder() throws Exception {
            Class holder = Class.forName("org.apache.spark.storage.memory.ValuesHolder");
            Class builder = Class.forName("org.apache.spark.storage.memory.MemoryEntryBuilder");
            return Proxy.newProxyInstance(
                holder.getClassLoader(), new Class[] {holder, builder}, this);
        }

        public Object invoke(Object self, Method method, Object[] arguments) throws Exception {
            switch (method.getName()) {
                case "storeValue": size += number(arguments[0]); return null;
                case "estimatedSize": return size;
                case "getBuilder": return self;
                case "preciseSize": return size;
                case "build":
                    return made(DeserializedMemoryEntry.class, new Object[0], size, mode, ANY);
                default: throw new UnsupportedOperationException(method.getName());
            }
        }
    }

    /** A task's memory manager, and the order in which it came to know its consumers. */
    private static class Task {
        final TaskMemoryManager memory;
        final List consumers = new ArrayList();
        int known = 0;

        Task(MemoryManager manager, long number) {
            memory = new TaskMemoryManager(manager, number);
        }

        void forget() {
            known = 0;
            for (Object consumer : consumers) {
                ((Consumer) consumer).place = -1;
            }
        }
    }

    /** A consumer that spills everything, half of what it holds, what is asked, or nothing. */
    private static class Consumer extends MemoryConsumer {
        final Game game;
        final Task owner;
        final long name;
        final String habit;
        int place = -1;

        Consumer(Game game, Task owner, long name, MemoryMode mode, String habit) {
            super(owner.memory, owner.memory.pageSizeBytes(), mode);
            this.game = game;
            this.owner = owner;
            this.name = name;
            this.habit = habit;
        }

        public long spill(long size, MemoryConsumer trigger) throws java.io.IOException {
            long released;
            switch (habit) {
                case "everything": released = getUsed(); break;
                case "half": released = getUsed() / 2; break;
                case "asked":
                    released = Math.min(getUsed(), Math.max(size, getUsed() / 8));
                    break;
                case "nothing": released = 0; break;
                default: throw new java.io.IOException("no consumer has the habit " + habit);
            }
            game.happened.add(
                new Object[] {"spilled", name, size, ((Consumer) trigger).name, released});
            if (released > 0) {
                freeMemory(released);
            }
            return released;
        }

        /** Spark keeps consumers in a HashSet: by this they stand in it as they came. */
        public int hashCode() {
            if (place < 0) {
                place = owner.known++;
            }
            return place;
        }

        public boolean equals(Object other) {
            return this == other;
        }

        long page(Object page, long required) {
            MemoryBlock block = allocatePage(required);
            game.pages.put(page, new Object[] {this, block});
            return block.size();
        }

        long held() {
            return getUsed();
        }

        void giveBack(MemoryBlock page) {
            freePage(page);
        }
    }

    /** Memory that others report to Spark since 4.1; in earlier versions there is nothing to set. */
    private static class Unmanaged {
        final Map used = new HashMap();
        Object companion;
        Method poll;

        /** Registers a consumer for each mode, and sees to it that nobody polls but this. */
        void start() throws Exception {
            Class managers = Class.forName("org.apache.spark.memory.UnifiedMemoryManager$");
            companion = managers.getField("MODULE$").get(null);
            poll = method(managers, "pollUnmanagedMemoryUsers");
            ((java.util.concurrent.atomic.AtomicBoolean)
                method(managers, "pollingStarted").invoke(companion)).set(true);
            Class consumer = Class.forName("org.apache.spark.memory.UnmanagedMemoryConsumer");
            Class id = Class.forName("org.apache.spark.memory.UnmanagedMemoryConsumerId");
            for (final MemoryMode mode : MemoryMode.values()) {
                final Object itsId = id.getConstructors()[0].newInstance("player", mode.name());
                Object reporter = Proxy.newProxyInstance(
                    consumer.getClassLoader(), new Class[] {consumer}, new InvocationHandler() {
                        public Object invoke(Object self, Method method, Object[] arguments) {
                            switch (method.getName()) {
                                case "memoryMode": return mode;
                                case "unmanagedMemoryConsumerId": return itsId;
                                case "getMemBytesUsed": return used.get(mode);
                                default: throw new UnsupportedOperationException(method.getName());
                            }
                        }
                    });
                method(managers, "registerUnmanagedMemoryConsumer").invoke(companion, reporter);
            }
        }

        void clear() throws Exception {
            for (MemoryMode mode : MemoryMode.values()) {
                used.put(mode, 0L);
            }
            if (companion != null) {
                poll.invoke(companion);
            }
        }

        void set(long bytes, MemoryMode mode) throws Exception {
            if (companion == null) {
                start();
            }
            used.put(mode, bytes);
            poll.invoke(companion);
        }
    }

    private static long number(Object number) {
        return ((Number) number).longValue();
    }

    private static MemoryMode mode(Object name) {
        return MemoryMode.valueOf((String) name);
    }

    private static BlockId block(Object name) {
        return BlockId.apply((String) name);
    }

    /** A new object of a class whose constructor has changed from Spark to Spark. */
    private static Object made(Class of, Object... arguments) throws Exception {
        for (Constructor constructor : of.getConstructors()) {
            Object[] fitting = fitting(constructor.getParameterTypes(), arguments);
            if (fitting != null) {
                return constructor.newInstance(fitting);
            }
        }
        throw new IllegalArgumentException(of + " is made of something else");
    }

    /** The arguments that these parameters take, without those that only later Sparks know. */
    private static Object[] fitting(Class[] parameters, Object... arguments) {
        Object[] fitting = new Object[parameters.length];
        int found = 0;
        for (Object argument : arguments) {
            if (found < parameters.length && takes(parameters[found], argument)) {
                fitting[found++] = argument;
            }
        }
        return found == parameters.length ? fitting : null;
    }

    private static boolean takes(Class parameter, Object argument) {
        return parameter.isInstance(argument)
            || parameter == long.class && argument instanceof Long
            || parameter == int.class && argument instanceof Integer
            || parameter == boolean.class && argument instanceof Boolean;
    }

    /** The method of this name, opened; Scala may have put its class's name before it. */
    private static Method method(Class owner, String name) {
        for (Method method : owner.getDeclaredMethods()) {
            if (method.getName().equals(name) || method.getName().endsWith("$$" + name)) {
                method.setAccessible(true);
                return method;
            }
        }
        throw new IllegalArgumentException(owner + " has no method " + name);
    }
}
