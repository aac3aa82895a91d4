/* Networks told in JSON, one a line on standard input, run; their results are printed, one JSON object a line, for
 * compare_networks.py. */
#include "support/facula_test.h"

#include "support/network.h"

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char why[512] = "not JSON";
        cJSON *network = cJSON_Parse(line), *results = network ? network_run(network, why) : NULL;
        if (!results) {
            results = cJSON_CreateObject();
            cJSON_AddStringToObject(results, "error", why);
        }
        char *text = cJSON_PrintUnformatted(results);
        puts(text);
        cJSON_free(text);
        cJSON_Delete(results);
        cJSON_Delete(network);
    }
    free(line);
    return 0;
}
