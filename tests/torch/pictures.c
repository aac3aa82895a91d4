/* Pictures for tests/torch/compare_pictures.py. A case on standard input: a line "MODE LENGTH" and the file's bytes.
 * The answer: a line "HEIGHT WIDTH CHANNELS" and the pixels, or a line "error MESSAGE". */
#include "facula.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char mode[8];
    size_t length;
    while (scanf("%7s %zu", mode, &length) == 2)
        fa_scope {
            char *bytes = malloc(length + 1);
            if (bytes == NULL || getchar() != '\n' || fread(bytes, 1, length, stdin) != length)
                exit(2);
            fa_tensor *x = fa_decode_picture(bytes, length, .mode = mode);
            if (x != NULL) {
                printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", fa_size(x, 0), fa_size(x, 1), fa_size(x, 2));
                fwrite(fa_data(x), 1, (size_t)fa_numel(x), stdout);
            } else {
                printf("error %s\n", fa_error());
            }
            fa_clear_error();
            fflush(stdout);
            free(bytes);
        }
    return 0;
}
