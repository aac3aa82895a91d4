/* leaf: a value in memory (parameter, buffer, batch, constant). It is made by fa_leaf_node and computed by nobody. */
#include "base/opdef.h"

const fa_op_def fa_op_leaf = {.name = "leaf", .layout = FA_LAYOUT_PLAIN};
