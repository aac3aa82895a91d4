/* Mapped files and the handler of SIGBUS. */
#include "base/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_MAPPINGS = 1024, INTACT = 0, BROKEN, REPORTED };

/* The table is read by a signal handler: entries are used by `begin` alone, which is written last. */
typedef struct mapping {
    atomic_uintptr_t begin; /* 0: a free entry */
    atomic_uintptr_t end;
    atomic_int state;
    char *path;
} mapping;

static mapping table[MAX_MAPPINGS];
static atomic_int used; /* entries below it may be in use */
atomic_int fa_mapped_broken;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int live;
static bool installed;
static struct sigaction previous;
static uintptr_t page_bytes;

/* ---- The handler: no lock, no allocation --------------------------------------------------------------------------
 */

static bool mend(uintptr_t address)
{
    for (int i = 0, n = atomic_load(&used); i < n; i++) {
        uintptr_t begin = atomic_load(&table[i].begin);
        if (begin == 0 || address < begin || address >= atomic_load(&table[i].end))
            continue;
        void *page = (void *)(address & ~(page_bytes - 1));
        if (mmap(page, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
            return false;
        int intact = INTACT;
        if (atomic_compare_exchange_strong(&table[i].state, &intact, BROKEN))
            atomic_fetch_add(&fa_mapped_broken, 1);
        return true;
    }
    return false;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != NULL)
        previous.sa_sigaction(number, info, context);
    else if (previous.sa_handler == SIG_IGN && info->si_code <= 0)
        return;
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(number);
    else {
        /* The default: the faulting instruction runs again on return and ends the process, as it would have. */
        struct sigaction standard = {.sa_handler = SIG_DFL};
        sigaction(number, &standard, NULL);
        if (info->si_code <= 0)
            raise(number);
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int error = errno;
    if (info->si_code <= 0 || !mend((uintptr_t)info->si_addr))
        pass_on(number, info, context);
    errno = error;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_bus_error;
}

/* Called with the lock held. When ours stands below a later handler, that one calls it. */
static bool install(void)
{
    if (installed)
        return true;
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    action.sa_sigaction = on_bus_error;
    sigemptyset(&action.sa_mask);
    installed = sigaction(SIGBUS, &action, &previous) == 0;
    return installed;
}

static void uninstall(void)
{
    struct sigaction now;
    if (!installed || sigaction(SIGBUS, NULL, &now) != 0 || !is_ours(&now))
        return;
    installed = sigaction(SIGBUS, &previous, NULL) != 0;
}

/* ---- Mapping ------------------------------------------------------------------------------------------------------
 */

static void unmap(fa_buffer *buffer)
{
    mapping *entry = buffer->owner;
    munmap(buffer->data, buffer->bytes);
    pthread_mutex_lock(&mutex);
    if (atomic_load(&entry->state) == BROKEN)
        atomic_fetch_sub(&fa_mapped_broken, 1);
    atomic_store(&entry->begin, 0);
    fa_mfree(entry->path);
    entry->path = NULL;
    if (--live == 0)
        uninstall();
    pthread_mutex_unlock(&mutex);
}

/* A free entry with the handler in place, NULL when there is none. Called with the lock held. */
static mapping *free_entry(void)
{
    int n = atomic_load(&used);
    for (int i = 0; i < n; i++)
        if (atomic_load(&table[i].begin) == 0)
            return &table[i];
    if (n == MAX_MAPPINGS)
        return NULL;
    atomic_store(&used, n + 1);
    return &table[n];
}

static mapping *enter(void *data, size_t bytes, char *path)
{
    pthread_mutex_lock(&mutex);
    mapping *entry = install() ? free_entry() : NULL;
    if (entry != NULL) {
        entry->path = path;
        atomic_store(&entry->state, INTACT);
        atomic_store(&entry->end, (uintptr_t)data + bytes);
        atomic_store(&entry->begin, (uintptr_t)data);
        live++;
    }
    pthread_mutex_unlock(&mutex);
    return entry;
}

fa_buffer *fa_map_file(int file, size_t bytes, const char *path, const char *what, fa_where where)
{
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    if (data == MAP_FAILED) {
        fa_fail(FA_FILE_ERROR, where, what, "could not map %s into memory: %s. Hint: load it without .mmap.", path,
                strerror(errno));
        return NULL;
    }
    char *name = fa_strdup(path);
    fa_buffer *buffer = name != NULL ? fa_buffer_borrow(data, bytes) : NULL;
    mapping *entry = buffer != NULL ? enter(data, bytes, name) : NULL;
    if (entry == NULL) {
        if (buffer == NULL)
            fa_fail_memory(where, bytes);
        else
            fa_fail(FA_FILE_ERROR, where, what, "got more than %d mapped files at once. Hint: load %s without .mmap.",
                    MAX_MAPPINGS, path);
        fa_buffer_release(buffer);
        fa_mfree(name);
        munmap(data, bytes);
        return NULL;
    }
    buffer->owner = entry;
    buffer->end = unmap;
    return buffer;
}

static mapping *mapping_at(uintptr_t address)
{
    for (int i = 0, n = atomic_load(&used); i < n; i++)
        if (address - atomic_load(&table[i].begin) < atomic_load(&table[i].end) - atomic_load(&table[i].begin) &&
            atomic_load(&table[i].begin) != 0)
            return &table[i];
    return NULL;
}

bool fa_mapped_intact(const fa_buffer *buffer)
{
    const mapping *entry = buffer != NULL && buffer->end != NULL ? mapping_at((uintptr_t)buffer->data) : NULL;
    return entry == NULL || atomic_load(&entry->state) == INTACT;
}

bool fa_mapped_report(fa_where where)
{
    if (!fa_ok())
        return false;
    pthread_mutex_lock(&mutex);
    for (int i = 0, n = atomic_load(&used); i < n; i++) {
        int broken = BROKEN;
        if (atomic_load(&table[i].begin) == 0 || !atomic_compare_exchange_strong(&table[i].state, &broken, REPORTED))
            continue;
        atomic_fetch_sub(&fa_mapped_broken, 1);
        fa_fail(FA_FILE_ERROR, where, "mmap",
                "%s became shorter while its tensors were in use; what was cut off reads as zeros, and results since "
                "then are wrong. Hint: load it without .mmap, or write new files under another name.",
                table[i].path);
        break;
    }
    pthread_mutex_unlock(&mutex);
    return fa_ok();
}
