/* A data set in MNIST's form with few images, for tests that run the command many times. */
#ifndef FA_TESTS_SMALL_MNIST_H
#define FA_TESTS_SMALL_MNIST_H

/* Writes the four files into an existing folder: a bright square a class, in noise. */
void write_small_mnist(const char *folder, int training, int test);

#endif
