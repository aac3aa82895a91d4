/* Fetching files with libcurl. */
#include "files/download.h"

#include "base/md5.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/system.h"

#ifdef FA_HAVE_CURL

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, URL_BYTES = 4096 };

typedef struct fetching {
    const fa_download *file;
    char path[PATH_BYTES], part[PATH_BYTES], url[URL_BYTES];
    char said[2048]; /* of each mirror */
    int fd;
    off_t at;  /* where the next bytes go */
    int error; /* of a write; 0: none */
} fetching;

static void say(fetching *f, const char *text)
{
    size_t length = strlen(f->said);
    snprintf(f->said + length, sizeof f->said - length, "%s%s: %s", length > 0 ? "; " : "", f->url, text);
}

/* Whether the file at `path` has the sum that is wanted. */
static bool has_sum(const char *path, const char *wanted)
{
    static const size_t chunk = (size_t)1 << 16;
    char digits[33];
    fa_md5 md5;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t *bytes = fd >= 0 ? fa_malloc(chunk) : NULL;
    ssize_t got = bytes != NULL ? 0 : -1;
    fa_md5_begin(&md5);
    while (bytes != NULL && (got = read(fd, bytes, chunk)) > 0)
        fa_md5_add(&md5, bytes, (size_t)got);
    fa_md5_end(&md5, digits);
    fa_mfree(bytes);
    if (fd >= 0)
        close(fd);
    return got == 0 && strcmp(digits, wanted) == 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *user)
{
    fetching *f = user;
    size_t left = size * count;
    while (left > 0) {
        ssize_t wrote = fa_sys_write(f->fd, bytes, left, f->at);
        if (wrote < 0) {
            f->error = errno;
            return 0;
        }
        bytes += wrote;
        f->at += wrote;
        left -= (size_t)wrote;
    }
    return size * count;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* One request for what is not there yet. CURLE_OK: the server has sent all. */
static CURLcode ask(fetching *f, char message[CURL_ERROR_SIZE], long *status)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return CURLE_OUT_OF_MEMORY;
    message[0] = 0;
    curl_easy_setopt(curl, CURLOPT_URL, f->url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)f->at);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, f);
    CURLcode code = curl_easy_perform(curl);
    *status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return code;
}

static bool begin_anew(fetching *f)
{
    f->at = 0;
    return ftruncate(f->fd, 0) == 0 && lseek(f->fd, 0, SEEK_SET) == 0;
}

/* Asks one mirror, from where the part ends, and again from the beginning where that was no good. */
static bool ask_mirror(fetching *f)
{
    char message[CURL_ERROR_SIZE], text[CURL_ERROR_SIZE + 64];
    long status;
    const off_t begun = f->at;
    CURLcode code = ask(f, message, &status);
    bool refused = code == CURLE_RANGE_ERROR || (code == CURLE_HTTP_RETURNED_ERROR && status == 416);
    if (begun > 0 && f->error == 0 && (code == CURLE_OK || refused) && !has_sum(f->part, f->file->md5) && begin_anew(f))
        code = ask(f, message, &status);
    if (f->error != 0) {
        say(f, strerror(f->error));
        return false;
    }
    if (has_sum(f->part, f->file->md5))
        return true;
    if (code == CURLE_OK) {
        begin_anew(f);
        say(f, "sent something else (its MD5 sum is not the one known)");
    } else {
        snprintf(text, sizeof text, "%s", message[0] != 0 ? message : curl_easy_strerror(code));
        say(f, text);
    }
    return false;
}

static bool ask_mirrors(fetching *f)
{
    const char *own = getenv("FACULA_MIRROR");
    const char *const alone[2] = {own, NULL};
    const char *const *mirrors = own != NULL && own[0] != 0 ? alone : f->file->mirrors;
    for (int i = 0; mirrors[i] != NULL && f->error == 0; i++) {
        bool slash = mirrors[i][strlen(mirrors[i]) - 1] == '/';
        int length = snprintf(f->url, URL_BYTES, "%s%s%s", mirrors[i], slash ? "" : "/", f->file->name);
        if (length >= 0 && length < URL_BYTES && ask_mirror(f))
            return true;
    }
    return false;
}

static bool fetch(fetching *f)
{
    const fa_download *file = f->file;
    f->fd = fa_sys_open(f->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f->fd < 0)
        return fa_fail(FA_FILE_ERROR, file->where, file->what, "could not write %s: %s.", f->part, strerror(errno));
    struct stat status;
    f->at = fstat(f->fd, &status) == 0 ? status.st_size : 0;
    bool fine = lseek(f->fd, f->at, SEEK_SET) >= 0 && ask_mirrors(f);
    if (!fine)
        fa_fail(FA_FILE_ERROR, file->where, file->what, "could not fetch %s: %s.%s%s%s", file->name, f->said,
                f->at > 0 ? " What came is kept in " : "", f->at > 0 ? f->part : "",
                f->at > 0 ? ", and the next try goes on there." : "");
    else if (fa_sys_fsync(f->fd) != 0 || fa_sys_rename(f->part, f->path) != 0)
        fine = fa_fail(FA_FILE_ERROR, file->where, file->what, "could not write %s: %s.", f->path, strerror(errno));
    fa_sys_close(f->fd);
    return fine;
}

bool fa_download_file(const fa_download *file)
{
    fetching *f = fa_calloc(1, sizeof *f);
    if (f == NULL)
        return fa_fail_memory(file->where, sizeof *f);
    f->file = file;
    int length = snprintf(f->path, PATH_BYTES, "%s/%s", file->folder, file->name);
    int longer = snprintf(f->part, PATH_BYTES, "%s/%s.part", file->folder, file->name);
    bool fine = length >= 0 && longer < PATH_BYTES;
    if (!fine)
        fa_fail(FA_VALUE_ERROR, file->where, file->what, "got a folder of %zu bytes, needs a shorter one.",
                strlen(file->folder));
    if (fine && !has_sum(f->path, file->md5)) {
        pthread_once(&once, start_curl);
        fine = fa_make_folders(file->folder, file->what, file->where) && fetch(f);
    }
    fa_mfree(f);
    return fine;
}

#else

bool fa_download_file(const fa_download *file)
{
    return fa_fail(FA_FILE_ERROR, file->where, file->what,
                   "got .download for %s, but this library was built without libcurl. Hint: fetch the file from %s and "
                   "put it into %s; or install libcurl's headers and build again.",
                   file->name, file->mirrors[0], file->folder);
}

#endif
