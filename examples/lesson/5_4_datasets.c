/* 5.4 Data sets that everybody knows: MNIST and CIFAR-10. What is not there yet is fetched: 170 MB for CIFAR-10. */
#include <facula.h>

int main(void)
{
    fa_manual_seed(0);
    /* Handwritten digits, [1, 28, 28] */
    fa_dataset *mnist_train = fa_mnist("./data/mnist",   /* their folder */
                                       .train = true,    /* the half to train on */
                                       .download = true, /* fetched, if it is not there */
                                       .transform = fa_to_tensor());

    /* Photographs of 10 kinds of things, [3, 32, 32] */
    fa_dataset *cifar_train =
        fa_cifar10("./data/cifar10", .train = true, .download = true, .transform = fa_to_tensor());

    fa_loader *train_loader = fa_data_loader(mnist_train, .batch_size = 64, .shuffle = true);

    fa_for_each_batch (b, train_loader) {
        fa_print(fa_shape_of(b.images)); /* torch.Size([64, 1, 28, 28]) */
        break;
    }

    fa_free(train_loader), fa_free(cifar_train);
    return fa_exit_status(stderr);
}
