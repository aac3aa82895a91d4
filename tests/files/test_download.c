/* Fetching files from a server in this process: mirrors, sums, broken connections gone on with, nothing half done under
 * the name; MD5. Without libcurl: the message. */
#define _GNU_SOURCE /* strcasestr */
#include "support/facula_test.h"

#include "base/md5.h"
#include "facula.h"
#include "files/download.h"
#include "support/tempdir.h"
#include "vision/tar_archive.h"

#include <arpa/inet.h>
#include <libdeflate.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_md5(void **state)
{
    (void)state;
    /* the test suite of RFC 1321 */
    static const char *const cases[][2] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", "0cc175b9c0f1b6a831c399e269772661"},
        {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "57edf4a22be3c955ac49da2e2107b67a"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t cut = 0; cut <= strlen(cases[i][0]); cut++) {
            char digits[33];
            fa_md5 md5;
            fa_md5_begin(&md5);
            fa_md5_add(&md5, cases[i][0], cut);
            fa_md5_add(&md5, cases[i][0] + cut, strlen(cases[i][0]) - cut);
            fa_md5_end(&md5, digits);
            assert_string_equal(digits, cases[i][1]);
        }
}

#ifdef FA_HAVE_CURL

/* ---- A server ---- */

enum { SIZE = 300000 };
static uint8_t content[SIZE];
static char content_md5[33];

static struct {
    int listener, port;
    pthread_t thread;
    int cut_after;  /* the next answers end after so many bytes; 0: whole */
    bool no_ranges; /* parts are not served */
    int requests, part_requests;
} server;

static void answer(int peer, const char *request)
{
    char header[256];
    const char *range = strcasestr(request, "range: bytes=");
    size_t from = range != NULL ? strtoul(range + 13, NULL, 10) : 0, size = SIZE;
    const uint8_t *bytes = content;
    char *file = NULL;
    server.requests++;
    server.part_requests += range != NULL;
    if (strncmp(request, "GET /mnist/", 11) == 0) {
        char path[128];
        snprintf(path, sizeof path, "data/mnist/%.*s", (int)strcspn(request + 11, " "), request + 11);
        file = read_file(source_path(path), &size);
        bytes = (const uint8_t *)file;
    } else if (strncmp(request, "GET /wrong/", 11) == 0)
        size = 1000;
    else if (strncmp(request, "GET /good/", 10) != 0) {
        static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (void)!write(peer, missing, sizeof missing - 1);
        return;
    }
    if (server.no_ranges)
        from = 0;
    if (from >= size && range != NULL) {
        static const char beyond[] =
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (void)!write(peer, beyond, sizeof beyond - 1);
        free(file);
        return;
    }
    int length = from > 0 ? snprintf(header, sizeof header,
                                     "HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\nContent-Range: bytes "
                                     "%zu-%zu/%zu\r\nConnection: close\r\n\r\n",
                                     size - from, from, size - 1, size)
                          : snprintf(header, sizeof header,
                                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", size);
    size_t left = size - from;
    if (server.cut_after > 0 && left > (size_t)server.cut_after)
        left = (size_t)server.cut_after;
    (void)!send(peer, header, (size_t)length, MSG_NOSIGNAL);
    for (ssize_t sent; left > 0 && (sent = send(peer, bytes + from, left, MSG_NOSIGNAL)) > 0; left -= (size_t)sent)
        from += (size_t)sent;
    free(file);
}

static void *serve(void *argument)
{
    (void)argument;
    for (;;) {
        int peer = accept(server.listener, NULL, NULL);
        if (peer < 0)
            return NULL;
        char request[4096] = "";
        size_t length = 0;
        for (ssize_t got; strstr(request, "\r\n\r\n") == NULL && length < sizeof request - 1; length += (size_t)got) {
            got = recv(peer, request + length, sizeof request - 1 - length, 0);
            if (got <= 0)
                break;
            request[length + (size_t)got] = 0;
        }
        answer(peer, request);
        shutdown(peer, SHUT_WR);
        close(peer);
    }
}

static int start_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 7 + i / 251);
    fa_md5 md5;
    fa_md5_begin(&md5);
    fa_md5_add(&md5, content, SIZE);
    fa_md5_end(&md5, content_md5);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    setenv("no_proxy", "127.0.0.1", 1);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    return 0;
}

static const char *url(const char *folder)
{
    static char texts[4][64];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "http://127.0.0.1:%d/%s", server.port, folder);
    return text;
}

/* Fetches "file.bin" into the folder from up to two mirrors. */
static bool get(const tempdir *dir, const char *first, const char *second)
{
    const char *const mirrors[] = {url(first), second != NULL ? url(second) : NULL, NULL};
    const fa_download file = {"file.bin", content_md5, mirrors, tempdir_file(dir, "new/folder"), "test", FA_HERE};
    server.requests = server.part_requests = 0;
    return fa_download_file(&file);
}

static void is_there(const tempdir *dir)
{
    size_t size;
    char *bytes = read_file(tempdir_file(dir, "new/folder/file.bin"), &size);
    assert_int_equal(size, SIZE);
    assert_same_bytes(bytes, content, SIZE);
    free(bytes);
    assert_int_equal(access(tempdir_file(dir, "new/folder/file.bin.part"), F_OK), -1);
}

static void is_not_there(const tempdir *dir, const char *part)
{
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    assert_contains(fa_error(), part);
    fa_clear_error();
    assert_int_equal(access(tempdir_file(dir, "new/folder/file.bin"), F_OK), -1);
}

static void test_fetching(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    assert_true(get(&dir, "good/", NULL));
    is_there(&dir);
    assert_true(get(&dir, "good/", NULL)); /* there already: nobody is asked */
    assert_int_equal(server.requests, 0);
    write_file(tempdir_file(&dir, "new/folder/file.bin"), "damaged", 7);
    assert_true(get(&dir, "missing", "good"));
    is_there(&dir);
    assert_int_equal(server.requests, 2);
    tempdir_free(&dir);
}

static void test_failures(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    assert_false(get(&dir, "missing/", "wrong/"));
    is_not_there(&dir, "404");
    assert_false(get(&dir, "wrong/", NULL));
    is_not_there(&dir, "sent something else");
    assert_true(get(&dir, "wrong/", "good/")); /* what the first one sent is not gone on with */
    is_there(&dir);
    remove(tempdir_file(&dir, "new/folder/file.bin"));
    const char *const nobody[] = {"http://127.0.0.1:1/", NULL}, *const files[] = {"file:///etc", NULL};
    fa_download file = {"passwd", content_md5, nobody, tempdir_file(&dir, "new/folder"), "test", FA_HERE};
    assert_false(fa_download_file(&file));
    assert_contains(fa_error(), "could not fetch passwd: http://127.0.0.1:1/passwd: ");
    fa_clear_error();
    file.mirrors = files;
    assert_false(fa_download_file(&file));
    fa_clear_error();
    write_file(tempdir_file(&dir, "flat"), "", 0);
    file.folder = tempdir_file(&dir, "flat/below");
    assert_false(fa_download_file(&file));
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    fa_clear_error();
    tempdir_free(&dir);
}

static void test_resuming(void **state)
{
    (void)state;
    for (int ranges = 0; ranges < 2; ranges++) {
        tempdir dir = tempdir_new();
        server.no_ranges = ranges == 0;
        server.cut_after = 100000;
        assert_false(get(&dir, "good/", NULL));
        is_not_there(&dir, "What came is kept in ");
        size_t size;
        free(read_file(tempdir_file(&dir, "new/folder/file.bin.part"), &size));
        assert_int_equal(size, 100000);
        server.cut_after = 0;
        assert_true(get(&dir, "good/", NULL));
        is_there(&dir);
        assert_int_equal(server.part_requests, 1);
        assert_int_equal(server.requests, ranges == 0 ? 2 : 1);
        /* a part that is whole, and one that is longer than the file */
        rename(tempdir_file(&dir, "new/folder/file.bin"), tempdir_file(&dir, "new/folder/file.bin.part"));
        assert_true(get(&dir, "good/", NULL));
        is_there(&dir);
        uint8_t *longer = calloc(1, SIZE + 10);
        write_file(tempdir_file(&dir, "new/folder/file.bin.part"), longer, SIZE + 10);
        free(longer);
        remove(tempdir_file(&dir, "new/folder/file.bin"));
        assert_true(get(&dir, "good/", NULL));
        is_there(&dir);
        tempdir_free(&dir);
    }
    server.no_ranges = false;
}

/* The project's own MNIST: three of its files are the published ones. */
static void test_mnist(void **state)
{
    (void)state;
    static const char *const name = "MNIST/raw/train-images-idx3-ubyte.gz";
    tempdir dir = tempdir_new();
    setenv("FACULA_MIRROR", url("nothing"), 1);
    assert_null(fa_mnist(dir.path, .download = true));
    assert_contains(fa_error(), "could not fetch train-images-idx3-ubyte.gz");
    fa_clear_error();
    assert_null(fa_mnist(dir.path));
    assert_contains(fa_error(), "or set .download");
    fa_clear_error();
    setenv("FACULA_MIRROR", url("mnist"), 1);
    size_t size;
    char *bytes = read_file(source_path("data/mnist/train-images-idx3-ubyte.gz"), &size);
    write_file(tempdir_file(&dir, name), bytes, size);
    free(bytes);
    server.requests = 0;
    fa_dataset *data = fa_mnist(dir.path, .download = true);
    if (data == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_length(data), 60000);
    assert_int_equal(server.requests, 3);
    fa_free(data);
    data = fa_mnist(dir.path, .train = false, .download = true);
    assert_int_equal(fa_length(data), 10000);
    assert_int_equal(server.requests, 3);
    fa_free(data);
    unsetenv("FACULA_MIRROR");
    tempdir_free(&dir);
}

/* An archive that some program wrote: what is asked for comes out, whole; nothing else, and nowhere else. */
static size_t add_member(uint8_t *to, const char *name, const void *bytes, size_t size)
{
    memset(to, 0, 512);
    snprintf((char *)to, 100, "%s", name);
    snprintf((char *)to + 124, 12, "%011zo", size);
    memcpy(to + 512, bytes, size);
    return 512 + (size + 511) / 512 * 512;
}

static void test_archive(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    uint8_t *tar = calloc(1, 16384), *packed = malloc(16384);
    size_t size = add_member(tar, "c/", "", 0);
    size += add_member(tar + size, "../outside", "x", 1);
    size += add_member(tar + size, "c/one", "1st", 3);
    size += add_member(tar + size, "c/two", content, 600);
    size += add_member(tar + size, "/etc/passwd", "x", 1);
    size += 1024;
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    size_t n = libdeflate_gzip_compress(c, tar, size, packed, 16384);
    static const char *const names[] = {"one", "two", NULL}, *const more[] = {"one", "three", NULL};
    char path[1024];
    snprintf(path, sizeof path, "%s", tempdir_file(&dir, "a.tar.gz"));
    write_file(path, packed, n);
    assert_true(fa_unpack_tar(path, "c", names, tempdir_file(&dir, "to"), "test", FA_HERE));
    size_t got;
    char *two = read_file(tempdir_file(&dir, "to/c/two"), &got);
    assert_int_equal(got, 600);
    assert_same_bytes(two, content, 600);
    free(two);
    assert_int_equal(access(tempdir_file(&dir, "outside"), F_OK), -1);
    assert_int_equal(access(tempdir_file(&dir, "to/etc"), F_OK), -1);
    assert_false(fa_unpack_tar(path, "c", more, tempdir_file(&dir, "to"), "test", FA_HERE));
    assert_contains(fa_error(), "got no c/three in ");
    fa_clear_error();
    for (size_t cut = 0; cut < n; cut++) { /* cut short anywhere */
        write_file(path, packed, cut);
        assert_false(fa_unpack_tar(path, "c", names, tempdir_file(&dir, "to"), "test", FA_HERE));
        assert_contains(fa_error(), "a.tar.gz is damaged");
        fa_clear_error();
    }
    memset(tar + 512 + 124, '7', 11); /* a size beyond the end */
    n = libdeflate_gzip_compress(c, tar, size, packed, 16384);
    write_file(path, packed, n);
    assert_false(fa_unpack_tar(path, "c", names, tempdir_file(&dir, "to"), "test", FA_HERE));
    assert_contains(fa_error(), "a.tar.gz is damaged");
    fa_clear_error();
    libdeflate_free_compressor(c);
    free(tar), free(packed);
    /* the call that uses it: nothing is asked for what is there; the message of what is not */
    fa_dataset *data = fa_cifar10(source_path("tests/golden/cifar"), .download = true);
    assert_int_equal(fa_length(data), 10);
    fa_free(data);
    setenv("FACULA_MIRROR", url("wrong"), 1);
    assert_null(fa_cifar100(dir.path, .download = true));
    assert_contains(fa_error(), "could not fetch cifar-100-python.tar.gz");
    fa_clear_error();
    unsetenv("FACULA_MIRROR");
    tempdir_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_md5),      cmocka_unit_test(test_fetching),
                                       cmocka_unit_test(test_archive),  cmocka_unit_test(test_failures),
                                       cmocka_unit_test(test_resuming), cmocka_unit_test(test_mnist)};
    return cmocka_run_group_tests(tests, start_server, stop_server);
}

#else

static void test_without_libcurl(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    assert_null(fa_mnist(dir.path, .download = true));
    assert_contains(fa_error(), "built without libcurl");
    fa_clear_error();
    tempdir_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_md5), cmocka_unit_test(test_without_libcurl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
