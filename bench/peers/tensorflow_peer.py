"""TensorFlow's side of bench/compare.py: one network, one mode, one JSON object on stdout.

Channels last, the whole step one graph. Weights and batches come from the .npz that torch_peer.py --export wrote (the
same --network, --batch and --batches), since TensorFlow has not PyTorch's generator.

Adam: TensorFlow and Keras add epsilon to the root of the second moment before its bias is corrected, PyTorch after. So
epsilon is 1e-8 * sqrt(1 - beta2^t) here, one number a step, which makes it PyTorch's update. With 1e-8 itself the
losses of img224 part by 2e-3 within 5 steps, where otherwise they agree to 1e-5.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

import common


class Weights:
    """Variables made from PyTorch's arrays, by PyTorch's names, in TensorFlow's order of dimensions."""

    def __init__(self, arrays):
        self.arrays = arrays
        self.trainable = []

    def value(self, name):
        return self.arrays[f"weight:{name}"]

    def has(self, name):
        return f"weight:{name}" in self.arrays

    def variable(self, value, trainable=True):
        variable = tf.Variable(np.ascontiguousarray(value), trainable=trainable, dtype=tf.float32)
        if trainable:
            self.trainable.append(variable)
        return variable


class Conv:
    def __init__(self, weights, name, stride=1):
        kernel = weights.value(f"{name}.weight")
        pad = kernel.shape[2] // 2
        self.kernel = weights.variable(kernel.transpose(2, 3, 1, 0))
        self.bias = weights.variable(weights.value(f"{name}.bias")) if weights.has(f"{name}.bias") else None
        self.stride = stride
        # With stride 1 "SAME" is the same padding; with stride 2 TensorFlow's would be lopsided.
        self.padding = "SAME" if stride == 1 else [[0, 0], [pad, pad], [pad, pad], [0, 0]]

    def __call__(self, x, training):
        x = tf.nn.conv2d(x, self.kernel, self.stride, self.padding)
        return x if self.bias is None else tf.nn.bias_add(x, self.bias)


class BatchNorm:
    def __init__(self, weights, name):
        self.scale = weights.variable(weights.value(f"{name}.weight"))
        self.offset = weights.variable(weights.value(f"{name}.bias"))
        self.mean = weights.variable(weights.value(f"{name}.running_mean"), trainable=False)
        self.variance = weights.variable(weights.value(f"{name}.running_var"), trainable=False)

    def __call__(self, x, training):
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x,
            self.scale,
            self.offset,
            self.mean,
            self.variance,
            epsilon=1e-5,
            is_training=training,
            exponential_avg_factor=0.1 if training else 1.0,
        )
        if training:
            self.mean.assign(mean)
            self.variance.assign(variance)
        return y


class Linear:
    """`planes` is the (channels, height, width) of what was flattened before it: PyTorch's features are in that order,
    TensorFlow's in (height, width, channels)."""

    def __init__(self, weights, name, planes=None):
        value = weights.value(f"{name}.weight")
        if planes is not None:
            value = value.reshape(-1, *planes).transpose(0, 2, 3, 1).reshape(value.shape)
        self.weight = weights.variable(value.T)
        self.bias = weights.variable(weights.value(f"{name}.bias"))

    def __call__(self, x, training):
        return tf.nn.bias_add(tf.matmul(x, self.weight), self.bias)


def relu(x, training):
    return tf.nn.relu(x)


def pool(x, training):
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def flatten(x, training):
    return tf.reshape(x, (x.shape[0], -1))


def global_mean(x, training):
    return tf.reduce_mean(x, (1, 2))


def resnet_pool(x, training):
    # What comes is relu's, so a border of zeros is as good as PyTorch's border of minus infinity.
    return tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")


class BasicBlock:
    def __init__(self, weights, name, stride):
        self.main = [
            Conv(weights, f"{name}.conv1", stride),
            BatchNorm(weights, f"{name}.bn1"),
            relu,
            Conv(weights, f"{name}.conv2"),
            BatchNorm(weights, f"{name}.bn2"),
        ]
        self.shortcut = []
        if weights.has(f"{name}.downsample.0.weight"):
            self.shortcut = [
                Conv(weights, f"{name}.downsample.0", stride),
                BatchNorm(weights, f"{name}.downsample.1"),
            ]

    def __call__(self, x, training):
        return tf.nn.relu(sequence(self.main, x, training) + sequence(self.shortcut, x, training))


def sequence(layers, x, training):
    for layer in layers:
        x = layer(x, training)
    return x


def two_convs(weights, side):
    channels = weights.value("3.weight").shape[0]
    layers = [Conv(weights, "0"), relu, pool, Conv(weights, "3"), relu, pool, flatten]
    layers += [Linear(weights, "7", (channels, side // 4, side // 4))]
    if weights.has("9.weight"):
        layers += [relu, Linear(weights, "9")]
    return layers


def vgg_bn(weights, side):
    layers = []
    for block in range(3):
        for conv in (0, 3):
            layers += [Conv(weights, f"{block}.{conv}"), BatchNorm(weights, f"{block}.{conv + 1}"), relu]
        layers += [pool]
    return layers + [flatten, Linear(weights, "4", (256, side // 8, side // 8))]


def resnet18(weights, side):
    layers = [Conv(weights, "conv1", 2), BatchNorm(weights, "bn1"), relu, resnet_pool]
    for stage in range(1, 5):
        for block in range(2):
            stride = 2 if stage > 1 and block == 0 else 1
            layers += [BasicBlock(weights, f"layer{stage}.{block}", stride)]
    return layers + [global_mean, Linear(weights, "fc")]


class FusedAdam:
    """Adam by TensorFlow's own kernel, one call a variable, as its version 1 optimizer ran it."""

    def __init__(self, variables):
        self.variables = variables
        self.moments = [
            (tf.Variable(tf.zeros_like(v), trainable=False), tf.Variable(tf.zeros_like(v), trainable=False))
            for v in variables
        ]
        self.powers = [tf.Variable(0.9, trainable=False), tf.Variable(0.999, trainable=False)]

    def apply(self, gradients):
        power1, power2 = (power.read_value() for power in self.powers)
        for variable, (m, v), gradient in zip(self.variables, self.moments, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=power1,
                beta2_power=power2,
                lr=1e-3,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8 * tf.sqrt(1 - power2),
                grad=gradient,
            )
        self.powers[0].assign(power1 * 0.9)
        self.powers[1].assign(power2 * 0.999)


class KerasAdam:
    def __init__(self, variables):
        self.variables = variables
        self.optimizer = tf.keras.optimizers.Adam(1e-3)
        self.optimizer.build(variables)

    def apply(self, gradients):
        # Called while the graph is made: epsilon becomes a value of the graph.
        step = tf.cast(self.optimizer.iterations.value + 1, tf.float32)
        self.optimizer.epsilon = 1e-8 * tf.sqrt(1 - 0.999**step)
        self.optimizer.apply_gradients(zip(gradients, self.variables))


def main():
    parser = common.argument_parser(__doc__)
    parser.add_argument("--start", metavar="FILE", required=True, help="what torch_peer.py --export wrote")
    parser.add_argument("--jit", action="store_true", help="jit_compile: the graph through XLA")
    parser.add_argument("--fused-adam", action="store_true", help="TensorFlow's Adam kernel instead of Keras's Adam")
    arguments = parser.parse_args()
    _, side = common.fill_defaults(arguments)
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)

    with np.load(arguments.start) as file:
        arrays = dict(file)
    weights = Weights(arrays)
    networks = {"vgg_bn": vgg_bn, "resnet18": resnet18}
    layers = networks.get(arguments.network, two_convs)(weights, side)
    batches = [
        (tf.constant(arrays.pop(f"images:{i}").transpose(0, 2, 3, 1)), tf.constant(arrays.pop(f"labels:{i}")))
        for i in range(arguments.batches)
    ]
    arrays.clear()
    if batches[0][0].shape[0] != arguments.batch:
        raise SystemExit(f"{arguments.start}: batches of {batches[0][0].shape[0]}, needs {arguments.batch}")

    def mean_loss(scores, labels):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores))

    if arguments.mode == "train":
        optimizer = (FusedAdam if arguments.fused_adam else KerasAdam)(weights.trainable)

        @tf.function(jit_compile=arguments.jit)
        def graph(images, labels):
            with tf.GradientTape() as tape:
                loss = mean_loss(sequence(layers, images, True), labels)
            optimizer.apply(tape.gradient(loss, weights.trainable))
            return loss

        def step(i, with_loss):
            return float(graph(*batches[i]).numpy())
    else:

        @tf.function(jit_compile=arguments.jit)
        def graph(images):
            return sequence(layers, images, False)

        def step(i, with_loss):
            scores = graph(batches[i][0])
            scores.numpy()
            return float(mean_loss(scores, batches[i][1]).numpy()) if with_loss else None

    common.measure(arguments, step, "tensorflow", tf.__version__)


if __name__ == "__main__":
    main()
