/* MixUp of torchvision.transforms.v2: a batch mixed with itself, moved by one.
 *
 * lambda = float32(g1 / (g1 + g2)), g from the gamma distribution of shape alpha, drawn as PyTorch's _sample_dirichlet
 * does (Marsaglia and Tsang): below 1 the sample of alpha + 1 times u^(1 / alpha). */
#include "facula/transforms.h"

#include "base/error.h"
#include "base/generator.h"
#include "facula/elementwise.h"
#include "facula/functional.h"

#include <float.h>
#include <math.h>

static double uniform(fa_mt *mt)
{
    double x;
    fa_mt_uniform_f64(mt, &x, 1, 0, 1);
    return x;
}

static double gamma_sample(fa_mt *mt, double alpha)
{
    double scale = 1;
    if (alpha < 1) {
        scale = pow(1 - uniform(mt), 1.0 / alpha);
        alpha += 1;
    }
    /* PyTorch's constants are float32 */
    const double d = alpha - (double)(1.0f / 3.0f), c = 1 / sqrt(9 * d);
    for (;;) {
        double x, y;
        do {
            fa_mt_normal_f64(mt, &x, 1, 0, 1);
            y = 1 + c * x;
        } while (y <= 0);
        const double v = y * y * y, u = 1 - uniform(mt), xx = x * x;
        if (u < 1 - (double)0.0331f * xx * xx || log(u) < 0.5 * xx + d * (1 - v + log(v)))
            return fmax(DBL_MIN, scale * d * v);
    }
}

static double draw_lambda(double alpha)
{
    fa_generator *generator = fa_generator_default();
    fa_mt *mt = fa_generator_lock(generator);
    const double shape = (float)alpha, first = gamma_sample(mt, shape), second = gamma_sample(mt, shape);
    fa_generator_unlock(generator);
    const double most = nextafterf(1, 0), x = first / (first + second);
    return (float)(x < FLT_MIN ? FLT_MIN : x > most ? most : x);
}

/* x.roll(1, 0) * (1 - lambda) + x * lambda */
static fa_tensor *mix(fa_tensor *x, double lambda)
{
    return fa_add(fa_mul(fa_roll(x, 1, 0), 1.0 - lambda), fa_mul(x, lambda));
}

static bool check(const fa_mixup_args *args)
{
    static const char *const call = "fa_mixup";
    fa_tensor *images = args->images, *labels = args->labels;
    if (!fa_ok())
        return false;
    if (images == NULL || labels == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got no %s (NULL), needs images and labels.",
                       images == NULL ? "images" : "labels");
    if (!(args->alpha > 0 && isfinite(args->alpha)))
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got alpha %g, needs a number above 0.", args->alpha);
    const bool classes = fa_dtype_of(labels) == FA_INT64;
    if (fa_dtype_of(images) != FA_FLOAT32 || (!classes && fa_dtype_of(labels) != FA_FLOAT32))
        return fa_fail(FA_DTYPE_ERROR, args->where_, call,
                       "got images or labels of another type, needs images of float32, labels of int64 or float32.");
    if (fa_ndim(images) < 1 || fa_ndim(labels) != (classes ? 1 : 2) || fa_size(images, 0) != fa_size(labels, 0))
        return fa_fail(FA_SHAPE_ERROR, args->where_, call,
                       "got labels of %d dimensions that do not fit the images, needs classes [N] or probabilities [N, "
                       "classes] for N images.",
                       fa_ndim(labels));
    if (classes && args->num_classes < 1)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got num_classes %lld, needs it for labels that are classes. Hint: .num_classes = 10.",
                       (long long)args->num_classes);
    if (!classes && args->num_classes > 0 && args->num_classes != fa_size(labels, 1))
        return fa_fail(FA_SHAPE_ERROR, args->where_, call, "got num_classes %lld and labels of %lld classes.",
                       (long long)args->num_classes, (long long)fa_size(labels, 1));
    return true;
}

fa_mixed fa_mixup_at(const fa_mixup_args *args)
{
    fa_mixed mixed = {.lambda = 0};
    if (!check(args))
        return mixed;
    fa_tensor *labels = args->labels;
    if (fa_dtype_of(labels) == FA_INT64)
        labels = fa_to_dtype(fa_one_hot(labels, args->num_classes), FA_FLOAT32);
    if (!fa_ok())
        return mixed;
    mixed.lambda = draw_lambda(args->alpha);
    mixed.images = mix(args->images, mixed.lambda);
    mixed.labels = mix(labels, mixed.lambda);
    return fa_ok() ? mixed : (fa_mixed){.lambda = 0};
}
