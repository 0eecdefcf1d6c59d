/* Memory for one call, from what earlier calls gave back. */

/* Working memory, taken from what earlier calls gave back: fresh pages cost more than what is done on them. */
#define SPARE 64
#define SPARE_BYTES ((size_t)64 << 20)
static char *spare[SPARE];
static size_t spare_size[SPARE], spare_bytes;
static char spare_lock;
static void lock(void) { while (__atomic_test_and_set(&spare_lock, __ATOMIC_ACQUIRE)) {} }
static void unlock(void) { __atomic_clear(&spare_lock, __ATOMIC_RELEASE); }

static void *allocate(int64_t count, size_t size) {
    size_t wanted = (((size_t)(count > 0 ? count : 1) * size + 63) & ~(size_t)63) + 64;
    char *found = 0;
    lock();
    for (int i = 0; i < SPARE && !found; i++)
        if (spare[i] && spare_size[i] >= wanted && spare_size[i] / 2 <= wanted) {
            found = spare[i];
            spare[i] = 0;
            spare_bytes -= wanted = spare_size[i];
        }
    unlock();
    if (!found) found = aligned_alloc(64, wanted);
    if (!found) return 0;
    *(size_t *)found = wanted;
    return found + 64;
}

static void release(void *memory) {
    if (!memory) return;
    char *given = (char *)memory - 64;
    size_t size = *(size_t *)given;
    lock();
    for (int i = 0; i < SPARE && given && spare_bytes + size <= SPARE_BYTES; i++)
        if (!spare[i]) {
            spare[i] = given;
            spare_size[i] = size;
            spare_bytes += size;
            given = 0;
        }
    unlock();
    free(given);
}
