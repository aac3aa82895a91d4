/* fa_save: by the ending of the path. */
#include "base/error.h"
#include "files/atomic.h"
#include "files/formats.h"
#include "files/pth_writer.h"

bool fa_save_value_at(fa_value *value, const char *path, fa_where where)
{
    fa_begin(where);
    if (!fa_ok()) /* what failed before is not made worse by a file that looks as if it had not */
        return false;
    if (path == NULL || path[0] == '\0')
        return fa_fail(FA_VALUE_ERROR, where, "save", "got no path, needs the name of a file.");
    if (fa_kind_of(value) == FA_VALUE_INVALID)
        return fa_fail(value == NULL ? FA_VALUE_ERROR : FA_STATE_ERROR, where, "save",
                       "got %s for %s, needs a value that is alive.",
                       value == NULL ? "nothing (NULL)" : "a value that has ended", path);
    if (!fa_value_check_tree(value, "save", where))
        return false;
    if (fa_path_ends(path, ".safetensors"))
        return fa_safetensors_write(value, path, "save", where);
    if (fa_path_ends(path, ".npy"))
        return fa_npy_write(value, path, "save", where);
    return fa_pth_write(value, path, "save", where);
}

bool fa_save_tensor_at(fa_tensor *tensor, const char *path, fa_where where)
{
    fa_value *value = fa_value_tensor_at(tensor, where);
    bool good = value != NULL && fa_save_value_at(value, path, where);
    fa_value_free(value);
    return good;
}
