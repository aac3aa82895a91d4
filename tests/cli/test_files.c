/* `facula inspect` and `facula convert` as a user types them. */
#include "support/facula_test.h"

#include "support/tempdir.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/wait.h>

static char output[1 << 18];
static tempdir folder;

/* Runs a shell line with the command as $F, a temporary folder as $D and the golden files as $G; both streams go to
 * `output`. */
static int run(const char *line)
{
    if (FA_EMULATED)
        skip(); /* the command could not be started */
    char command[4096];
    snprintf(command, sizeof command, "F='%s' D='%s' G=tests/golden/files; { %s; } 2>&1", FA_FACULA, folder.path, line);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_line(const char *line)
{
    char found[512];
    snprintf(found, sizeof found, "%s\n", line);
    assert_contains(output, found);
}

static void test_inspect_weights(void **state)
{
    (void)state;
    assert_int_equal(run("$F inspect $G/state.pth"), 0);
    assert_contains(output, "tests/golden/files/state.pth  PyTorch (zip), 3.7 KiB\n\n");
    assert_line("weight  float32   [2, 3]  24 B  0 to 0.625");
    assert_line("steps   int64     []       8 B  7");
    assert_line("empty   float32   [0, 3]   0 B");
    assert_line("brain   bfloat16  [3]      6 B  1 to inf  1 infinite");
    assert_line("counts  int32     [2, 2]  16 B  -2 to 2147483647");
    assert_line("tied    float32   [2, 3]  24 B  0 to 0.625  = weight");
    assert_line("10 tensors, 26 elements, 83 B");
    assert_null(strchr(output, '\033')); /* no colours in a pipe */
    assert_int_equal(run("$F inspect --quick $G/state.pth"), 0);
    assert_line("weight  float32   [2, 3]  24 B");
    assert_int_equal(run("$F inspect $G/tensors.safetensors"), 0);
    assert_line("format: pt");
    assert_line("quote\"\\\\x0a\xc3\xbc\\x01  float32   [1]      4 B  0"); /* what steers a terminal is shown */
    assert_int_equal(run("$F inspect $G/matrix.npy"), 0);
    assert_contains(output, "NumPy array, 152 B");
    assert_line("  float32  [2, 3]  24 B  0 to 0.625");
}

static void test_inspect_checkpoint(void **state)
{
    (void)state;
    assert_int_equal(run("$F inspect $G/checkpoint.pth"), 0);
    assert_line("epoch        3");
    assert_line("loss         0.5");
    assert_line("nothing      None");
    assert_line("list         [1, 2]");
    assert_line("betas        (0.9, 0.999)");
    assert_line("single       (1,)");
    assert_line("text         'gr\xc3\xbcn'");
    assert_line("pair         {'lr': 0.1}");
    assert_line("big          1180591620717411303424");
    assert_line("raw          3 bytes");
    assert_line("set          {3}");
    assert_line("model        OrderedDict of 1: 1 tensor, 16 B");
    assert_line("  w          float32  [4]  16 B  0 to 3");
    assert_int_equal(run("$F inspect $G/many.pth"), 0);
    assert_contains(output, "[0, 1, 2, ");
    assert_contains(output, "... 2500 in all]");
}

static const cJSON *entry_of(const cJSON *root, const char *name)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(root, "entries"))
    {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(entry, "path");
        const cJSON *last = cJSON_GetArrayItem(path, cJSON_GetArraySize(path) - 1);
        if (cJSON_IsString(last) && strcmp(last->valuestring, name) == 0)
            return entry;
    }
    fail_msg("no entry %s", name);
    return NULL;
}

static const char *text_of(const cJSON *entry, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static double number_of(const cJSON *entry, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void test_inspect_json(void **state)
{
    (void)state;
    assert_int_equal(run("$F inspect --json $G/state.pth"), 0);
    cJSON *root = cJSON_Parse(output);
    assert_non_null(root);
    assert_string_equal(text_of(root, "format"), "PyTorch (zip)");
    const cJSON *weight = entry_of(root, "weight");
    assert_string_equal(text_of(weight, "kind"), "tensor");
    assert_string_equal(text_of(weight, "dtype"), "float32");
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(weight, "shape"), 1)->valueint, 3);
    assert_float_equal(number_of(weight, "max"), 0.625, 0);
    assert_string_equal(text_of(entry_of(root, "brain"), "max"), "inf");
    assert_int_equal(number_of(entry_of(root, "brain"), "infinite"), 1);
    assert_string_equal(text_of(entry_of(root, "tied"), "same_as"), "weight");
    cJSON_Delete(root);
    assert_int_equal(run("$F inspect --json $G/checkpoint.pth"), 0);
    root = cJSON_Parse(output);
    assert_non_null(root);
    assert_int_equal(number_of(entry_of(root, "epoch"), "value"), 3);
    assert_string_equal(text_of(entry_of(root, "text"), "value"), "gr\xc3\xbcn");
    assert_contains(output, "-9223372036854775808"); /* no digit is lost */
    assert_string_equal(text_of(entry_of(root, "model"), "kind"), "OrderedDict");
    cJSON_Delete(root);
    assert_int_equal(run("$F inspect --json $G/tensors.safetensors"), 0);
    root = cJSON_Parse(output);
    assert_string_equal(text_of(cJSON_GetObjectItem(root, "metadata"), "format"), "pt");
    entry_of(root, "quote\"\\\n\xc3\xbc\x01");
    cJSON_Delete(root);
}

/* From each format to each other and back: the same bytes. */
static void test_convert(void **state)
{
    (void)state;
    assert_int_equal(run("$F convert $G/tensors.safetensors $D/a.pth && $F convert $D/a.pth $D/b.safetensors && "
                         "cmp $D/b.safetensors $G/tensors.safetensors"),
                     0);
    assert_contains(output, "a.pth: 10 entries, ");
    assert_int_equal(run("$F convert $G/checkpoint.pth $D/w.safetensors --only model && $F inspect $D/w.safetensors"),
                     0);
    assert_line("w  float32  [4]  16 B  0 to 3");
    assert_int_equal(run("$F convert $G/checkpoint.pth $D/w.npy --only model.w && $F inspect $D/w.npy"), 0);
    assert_line("  float32  [4]  16 B  0 to 3");
    assert_int_equal(
        run("$F convert $G/state.pth $D/arrays/ --dtype float32 && cmp $D/arrays/counts.npy $G/counts.npy && "
            "cmp $D/arrays/weight.npy $G/matrix.npy && $F convert $D/arrays $D/back.pth && "
            "$F inspect $D/back.pth"),
        0);
    assert_line("bias    float32  [2]      8 B  -2.5 to 0.1");
    assert_line("bytes   uint8    [4]      4 B  0 to 255");
    assert_int_equal(run("$F convert $G/checkpoint.pth $D/half.pth --dtype float16 && $F inspect $D/half.pth"), 0);
    assert_line("  w          float16  [4]  8 B  0 to 3");
    assert_line("again        OrderedDict of 1: 1 tensor");
    assert_line("  w          float16  [4]  8 B  0 to 3  = model.w"); /* still tied */
    assert_line("betas        (0.9, 0.999)");
    assert_int_equal(run("$F convert $G/state.pth $D/s.pth --strip w && $F inspect $D/s.pth"), 0);
    assert_line("eight   float32   [2, 3]  24 B  0 to 0.625");
}

/* A whole model of torchvision's, as torch.save(model) pickled it: it is shown, and its weights are taken. */
static void test_whole_model(void **state)
{
    (void)state;
    assert_int_equal(run("$F inspect $G/../pth/whole_resnet.pth"), 0);
    assert_contains(output, "torchvision.models.resnet.ResNet");
    assert_contains(output, "torch.nn.modules.batchnorm.BatchNorm2d");
    assert_contains(output, "56 tensors");
    assert_int_equal(run("$F inspect --json $G/../pth/whole_resnet.pth"), 0);
    assert_int_equal(
        run("$F convert $G/../pth/whole_resnet.pth $D/resnet.safetensors && $F inspect $D/resnet.safetensors"), 0);
    assert_contains(output, "used the weights of the pickled model of class ResNet\n");
    assert_contains(output, "resnet.safetensors: 56 entries, ");
    assert_contains(output, "layer1.0.conv1.weight");
    assert_int_equal(run("$F convert $G/../pth/whole_resnet.pth $D/resnet.pth --dtype float16 && "
                         "$F convert $D/resnet.pth $D/fc.npy --only fc.weight && $F inspect $D/fc.npy"),
                     0);
    assert_contains(output, "float16  [2, 4]");
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *line, *part;
    } lines[] = {
        {2, "$F inspect", "which file?"},
        {2, "$F convert $G/state.pth", "from what to what?"},
        {2, "$F convert $G/state.pth $D/x.pth --dtype int8", "got \"int8\""},
        {1, "$F inspect $D/nowhere.pth", "nowhere.pth"},
        {1, "$F inspect README.md", "README.md"},
        {1, "head -c 1000 $G/state.pth > $D/cut.pth; $F inspect $D/cut.pth", "cut"},
        {1, "$F convert $G/checkpoint.pth $D/x.safetensors", "--only takes one entry; there are: model, again"},
        {1, "$F convert $G/checkpoint.pth $D/x.npy --only mode", "has no entry \"mode\""},
        {1, "$F convert $G/state.pth $D/x.npy", "needs one tensor"},
        {1, "$F convert $G/state.pth $D/x/", "brain is bfloat16"},
        {1, "$F convert $G/state.pth $D/x.npy --only brain", "--dtype float32 converts"},
        {1, "$F convert $G/state.pth $D/x.pth --strip nothing", "no name begins with"},
        {1, "$F convert $G/matrix.npy $D/x.pth --strip a", "needs a dict"},
        {1, "mkdir -p $D/none; $F convert $D/none $D/x.pth", "no .npy files"},
        {1, "$F convert $G/state.pth $D/no/x.pth", "its folder does not exist"},
        {1, "$F convert $G/state.pth /dev/full", "device"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(run(lines[i].line), lines[i].status);
        assert_contains(output, lines[i].part);
        assert_null(strstr(output, "convert.c")); /* the command's own source is of no use here */
    }
    assert_int_equal(run("ls $D | grep '^x'; ls -A $D | grep tmp"), 1); /* nothing half-written */
}

static int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect_weights), cmocka_unit_test(test_inspect_checkpoint),
        cmocka_unit_test(test_inspect_json),    cmocka_unit_test(test_convert),
        cmocka_unit_test(test_whole_model),     cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
