/* Files that are none of what is read here. People load what a download left, what another framework wrote, or the file
 * beside the one that they meant; the message says which, and what to do. */
#include "files/foreign.h"

#include "base/error.h"

#include <ctype.h>
#include <string.h>

#define FETCH "is it the right file, and was it fetched whole?"
#define UNPACK(command) "unpack it first: " command

typedef struct foreign {
    size_t at, length;
    const char *bytes;
    const char *what, *hint;
} foreign;

static const foreign kinds[] = {
    {257, 5, "ustar", "a tar archive; the tar form of PyTorch before 0.1.10 is not read",
     "in Python, torch.save(torch.load(path, weights_only=False), other) writes today's form"},
    {0, 4, "\x89HDF", "an HDF5 file, as Keras and others write them (.h5)",
     "save the arrays from there: numpy.save, or safetensors.numpy.save_file of a dict of them"},
    {0, 34, "version https://git-lfs.github.com", "a git-lfs pointer, which stands for a file that was not fetched",
     "git lfs pull fetches it"},
    {0, 4, "GGUF", "a GGUF file of llama.cpp", "take the model's safetensors or .pth file"},
    {4, 4, "TFL3", "a TensorFlow Lite model", "save the weights from TensorFlow, as a dict in safetensors"},
    {0, 2, "\x1f\x8b", "compressed by gzip", UNPACK("gunzip")},
    {0, 6, "\xfd\x37zXZ", "compressed by xz", UNPACK("unxz")},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK("unzstd")},
    {0, 3, "BZh", "compressed by bzip2", UNPACK("bunzip2")},
    {0, 4, "Rar!", "a RAR archive", "unpack it first"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a picture (PNG)", "pictures are read by fa_read_picture"},
    {0, 3, "\xff\xd8\xff", "a picture (JPEG)", "pictures are read by fa_read_picture"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program", FETCH},
    {0, 5, "%PDF-", "a PDF document", FETCH},
    {0, 3, "\0\0\x08", "an IDX file, as those of MNIST", "fa_mnist reads a folder of them"},
};

/* ---- Kinds without a fixed beginning ------------------------------------------------------------------------------
 */

static bool begins(const uint8_t *head, size_t count, const char *word)
{
    const size_t length = strlen(word);
    if (count < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (tolower(head[i]) != word[i])
            return false;
    return true;
}

/* An ONNX model is a protocol buffer: its first field is a small version, its second the name of the producer. */
static bool is_onnx(const uint8_t *head, size_t count)
{
    return count > 16 && head[0] == 8 && head[1] > 0 && head[1] < 32 && head[2] == 0x12 && head[3] > 0 &&
           head[3] < 64 && (size_t)head[3] + 4 <= count && isalpha(head[4]) && isprint(head[3 + head[3]]);
}

static bool is_text(const uint8_t *head, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (head[i] < 32 && head[i] != '\n' && head[i] != '\r' && head[i] != '\t')
            return false;
    return count > 0 && head[0] < 0x80;
}

static bool all_zero(const uint8_t *head, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (head[i] != 0)
            return false;
    return true;
}

/* The first bytes of a format that is read, and no more. */
static bool is_stump(const uint8_t *head, size_t count)
{
    static const char *const beginnings[] = {"PK\3\4", "\x93NUMPY", "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (count < strlen(beginnings[i]) && memcmp(head, beginnings[i], count) == 0)
            return true;
    return false;
}

static foreign guess(const uint8_t *head, size_t count)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].at + kinds[i].length <= count && memcmp(head + kinds[i].at, kinds[i].bytes, kinds[i].length) == 0)
            return kinds[i];
    size_t space = 0;
    while (space < count && isspace(head[space]))
        space++;
    const uint8_t *first = head + space;
    const size_t rest = count - space;
    if (is_stump(head, count))
        return (foreign){.what = "cut short after its first bytes", .hint = "fetch or save it again"};
    if (begins(first, rest, "<!doctype") || begins(first, rest, "<html"))
        return (foreign){.what = "a web page (HTML)",
                         .hint = "the download brought the page about the file, or an error; fetch the file itself"};
    if (is_onnx(head, count))
        return (foreign){.what = "an ONNX model",
                         .hint = "save the weights from PyTorch: torch.save(model.state_dict(), path)"};
    if (count > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return (foreign){.what = "a pickle that torch.save did not write",
                         .hint = "in Python, torch.save(pickle.load(open(path, 'rb')), other), if it is to be trusted"};
    if (all_zero(head, count))
        return (foreign){.what = "filled with zeros where its beginning should be", .hint = "fetch or save it again"};
    if (is_text(head, count))
        return (foreign){.what = *first == '{' || *first == '[' ? "a text file (JSON)" : "a text file", .hint = FETCH};
    return (foreign){.what = NULL};
}

/* ---- Errors -------------------------------------------------------------------------------------------------------
 */

#define NEEDS "needs a file of torch.save (.pth), safetensors, or NumPy's .npy"

fa_value *fa_refuse_foreign(const fa_open_file *file, const uint8_t *head, size_t count)
{
    const foreign kind = guess(head, count);
    if (kind.what != NULL)
        fa_fail(FA_FILE_ERROR, file->where, file->what, "%s (%llu bytes) is %s, " NEEDS ". Hint: %s", file->path,
                (unsigned long long)file->bytes, kind.what, kind.hint);
    else
        fa_fail(FA_FILE_ERROR, file->where, file->what,
                "%s (%llu bytes) is none of what can be read, " NEEDS ". It begins with the bytes %02x %02x %02x %02x. "
                "Hint: " FETCH,
                file->path, (unsigned long long)file->bytes, head[0], head[1], head[2], head[3]);
    return NULL;
}

bool fa_refuse_foreign_zip(const fa_open_file *file, const char *entry, size_t length)
{
    char name[65];
    const size_t n = length < sizeof name - 1 ? length : sizeof name - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = (char)(entry[i] >= 32 && entry[i] < 127 ? entry[i] : '.');
    name[n] = '\0';
    const char *what = "a zip archive of another program", *hint = FETCH;
    if (fa_path_ends(name, ".npy") && strchr(name, '/') == NULL) {
        what = "a zip archive of arrays (NumPy's .npz)";
        hint = "unzip it into a folder, and `facula convert FOLDER model.safetensors`";
    } else if (fa_path_ends(name, ".h5") || strcmp(name, "metadata.json") == 0 || strcmp(name, "config.json") == 0) {
        what = "a zip archive as Keras writes them (.keras)";
        hint = "save the arrays from there: safetensors.numpy.save_file of a dict of them";
    } else if (fa_path_ends(name, ".pth") || fa_path_ends(name, ".pt") || fa_path_ends(name, ".safetensors")) {
        what = "a zip archive of files";
        hint = "unzip it first";
    }
    return fa_fail(FA_FILE_ERROR, file->where, file->what,
                   "%s is %s, " NEEDS ": its entry %s does not lie in the one folder that torch.save makes. Hint: %s",
                   file->path, what, name, hint);
}
