/* The networks of the benchmarks, in PyTorch's words, for images of any form. All convolutions 3x3 with padding 1 and
 * pools 2x2 but for resnet18, which is torchvision's. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static fa_module *conv3x3(int64_t in, int64_t out)
{
    return fa_nn_conv2d(in, out, 3, .padding = 1);
}

/* Elements of a plane that was halved `times`. */
static int64_t area(const image_form *form, int times)
{
    return (form->height >> times) * (form->width >> times);
}

static fa_module *make_mnist(const image_form *form)
{
    return fa_nn_sequential(conv3x3(form->channels, 32), fa_nn_relu(), fa_nn_max_pool2d(2), conv3x3(32, 64),
                            fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(64 * area(form, 2), 128),
                            fa_nn_relu(), fa_nn_linear(128, form->classes));
}

static fa_module *make_cifar(const image_form *form)
{
    return fa_nn_sequential(conv3x3(form->channels, 32), fa_nn_relu(), fa_nn_max_pool2d(2), conv3x3(32, 64),
                            fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                            fa_nn_linear(64 * area(form, 2), form->classes));
}

static fa_module *make_fake64(const image_form *form)
{
    return fa_nn_sequential(conv3x3(form->channels, 16), fa_nn_relu(), fa_nn_max_pool2d(2), conv3x3(16, 32),
                            fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(32 * area(form, 2), 128),
                            fa_nn_relu(), fa_nn_linear(128, form->classes));
}

static fa_module *vgg_block(int64_t in, int64_t out)
{
    return fa_nn_sequential(conv3x3(in, out), fa_nn_batch_norm2d(out), fa_nn_relu(), conv3x3(out, out),
                            fa_nn_batch_norm2d(out), fa_nn_relu(), fa_nn_max_pool2d(2));
}

static fa_module *make_vgg_bn(const image_form *form)
{
    return fa_nn_sequential(vgg_block(form->channels, 64), vgg_block(64, 128), vgg_block(128, 256), fa_nn_flatten(),
                            fa_nn_linear(256 * area(form, 3), form->classes));
}

/* ---- ResNet-18 -----------------------------------------------------------------------------------------------------
 */

typedef struct BasicBlock {
    fa_module base;
    fa_module *conv1, *bn1, *conv2, *bn2, *downsample;
} BasicBlock;

static fa_tensor *basic_block_forward(fa_module *self, fa_tensor *x)
{
    BasicBlock *block = (BasicBlock *)self;
    fa_tensor *identity = block->downsample != NULL ? fa_forward(block->downsample, x) : x;
    fa_tensor *out = fa_relu(fa_forward(block->bn1, fa_forward(block->conv1, x)));
    out = fa_forward(block->bn2, fa_forward(block->conv2, out));
    return fa_relu(fa_add(out, identity));
}

static fa_module *basic_block(int64_t in, int64_t out, int64_t stride)
{
    BasicBlock *block = (BasicBlock *)fa_module_new(BasicBlock, basic_block_forward);
    if (block == NULL)
        return NULL;
    fa_layer(block, conv1, fa_nn_conv2d(in, out, 3, .stride = stride, .padding = 1, .bias = false));
    fa_layer(block, bn1, fa_nn_batch_norm2d(out));
    fa_layer(block, conv2, fa_nn_conv2d(out, out, 3, .padding = 1, .bias = false));
    fa_layer(block, bn2, fa_nn_batch_norm2d(out));
    if (stride != 1 || in != out)
        fa_layer(block, downsample,
                 fa_nn_sequential(fa_nn_conv2d(in, out, 1, .stride = stride, .bias = false), fa_nn_batch_norm2d(out)));
    return &block->base;
}

typedef struct ResNet {
    fa_module base;
    fa_module *conv1, *bn1, *maxpool, *layer1, *layer2, *layer3, *layer4, *avgpool, *fc;
} ResNet;

static fa_tensor *resnet_forward(fa_module *self, fa_tensor *x)
{
    ResNet *net = (ResNet *)self;
    x = fa_relu(fa_forward(net->bn1, fa_forward(net->conv1, x)));
    x = fa_forward(net->maxpool, x);
    x = fa_forward(net->layer2, fa_forward(net->layer1, x));
    x = fa_forward(net->layer4, fa_forward(net->layer3, x));
    return fa_forward(net->fc, fa_flatten(fa_forward(net->avgpool, x), 1));
}

static fa_module *make_resnet18(const image_form *form)
{
    ResNet *net = (ResNet *)fa_module_new(ResNet, resnet_forward);
    if (net == NULL)
        return NULL;
    fa_layer(net, conv1, fa_nn_conv2d(form->channels, 64, 7, .stride = 2, .padding = 3, .bias = false));
    fa_layer(net, bn1, fa_nn_batch_norm2d(64));
    fa_layer(net, maxpool, fa_nn_max_pool2d(3, .stride = 2, .padding = 1));
    fa_layer(net, layer1, fa_nn_sequential(basic_block(64, 64, 1), basic_block(64, 64, 1)));
    fa_layer(net, layer2, fa_nn_sequential(basic_block(64, 128, 2), basic_block(128, 128, 1)));
    fa_layer(net, layer3, fa_nn_sequential(basic_block(128, 256, 2), basic_block(256, 256, 1)));
    fa_layer(net, layer4, fa_nn_sequential(basic_block(256, 512, 2), basic_block(512, 512, 1)));
    fa_layer(net, avgpool, fa_nn_adaptive_avg_pool2d(1));
    fa_layer(net, fc, fa_nn_linear(512, form->classes));
    return &net->base;
}

static const network networks[] = {
    {"mnist", {1, 28, 28, 10}, 64, 2, make_mnist},   {"cifar", {3, 32, 32, 10}, 32, 2, make_cifar},
    {"fake64", {3, 64, 64, 10}, 32, 2, make_fake64}, {"img224", {3, 224, 224, 10}, 32, 2, make_mnist},
    {"vgg_bn", {3, 32, 32, 10}, 64, 3, make_vgg_bn}, {"resnet18", {3, 32, 32, 10}, 64, 0, make_resnet18},
};

const network *network_that_prints(const char *text)
{
    enum { NETWORKS = sizeof networks / sizeof *networks, LONGEST = 8192 };
    const size_t length = strlen(text);
    char *form = length < LONGEST ? malloc(LONGEST) : NULL;
    const network *found = NULL;
    for (int i = 0; form != NULL && i < NETWORKS && found == NULL; i++) {
        fa_module *model = networks[i].make(&networks[i].form);
        if (model != NULL && fa_module_format(model, form, LONGEST) == (int64_t)length && strcmp(form, text) == 0)
            found = &networks[i];
        fa_free(model);
    }
    free(form);
    return found;
}

const network *find_network(const char *name)
{
    enum { NETWORKS = sizeof networks / sizeof *networks };
    for (int i = 0; i < NETWORKS; i++)
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    fprintf(stderr, "facula: --network: got \"%s\", needs one of", name);
    for (int i = 0; i < NETWORKS; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", networks[i].name);
    fprintf(stderr, "\n");
    return NULL;
}

const network *network_for(const image_form *form)
{
    int64_t side = form->height > form->width ? form->height : form->width;
    return find_network(side > 64 ? "img224" : side > 32 ? "fake64" : form->channels == 1 ? "mnist" : "cifar");
}

fa_module *make_network(const network *net, const image_form *form)
{
    int64_t side = form->height < form->width ? form->height : form->width, least = (int64_t)1 << net->halvings;
    if (side >= least)
        return net->make(form);
    fa_raise(FA_SHAPE_ERROR, "the network %s takes images of %lld x %lld pixels or more, got %lld x %lld", net->name,
             (long long)least, (long long)least, (long long)form->height, (long long)form->width);
    return NULL;
}
