/* Small networks that are told in JSON (tests/golden/make_networks.py), with a penalty on the gradient of their input.
 */
#ifndef FA_TESTS_NETWORK_H
#define FA_TESTS_NETWORK_H

#include <cjson/cJSON.h>

/* Runs a network in float64 and returns its results by name, each an array of numbers: loss, first (the gradient of the
 * score to the input), grad_NAME. NULL with a reason in `why` (512 bytes). */
cJSON *network_run(const cJSON *network, char *why);

#endif
