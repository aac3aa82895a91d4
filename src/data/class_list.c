/* Names of classes that a data set owns. */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

bool fa_class_list_add(fa_class_list *list, const char *name, size_t length, fa_where where)
{
    if (list->count == list->capacity) {
        int64_t more = list->capacity > 0 ? 2 * list->capacity : 16;
        char **larger = fa_realloc(list->name, (size_t)more * sizeof(char *));
        if (larger == NULL)
            return fa_fail_memory(where, (size_t)more * sizeof(char *));
        list->name = larger;
        list->capacity = more;
    }
    char *copy = fa_malloc(length + 1);
    if (copy == NULL)
        return fa_fail_memory(where, length + 1);
    memcpy(copy, name, length);
    copy[length] = 0;
    list->name[list->count++] = copy;
    return true;
}

bool fa_class_list_copy(fa_class_list *list, fa_names names, fa_where where)
{
    for (int64_t i = 0; i < names.count; i++)
        if (!fa_class_list_add(list, names.name[i], strlen(names.name[i]), where))
            return false;
    return true;
}

bool fa_class_list_numbers(fa_class_list *list, int64_t count, fa_where where)
{
    for (int64_t i = list->count; i < count; i++) {
        char name[24];
        int length = snprintf(name, sizeof name, "%lld", (long long)i);
        if (!fa_class_list_add(list, name, (size_t)length, where))
            return false;
    }
    return true;
}

void fa_class_list_end(fa_class_list *list)
{
    for (int64_t i = 0; i < list->count; i++)
        fa_mfree(list->name[i]);
    fa_mfree(list->name);
    *list = (fa_class_list){.name = NULL};
}
