/* WebP by libwebp, lossy and lossless; of animated pictures the first frame, by libwebpdemux. Without the library at
 * build time such a picture is refused with a message. */
#include "vision/picture.h"

#ifdef FA_HAVE_WEBP

#include "base/memory.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static bool damaged(const fa_picture_job *job, VP8StatusCode status)
{
    if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
        return fa_picture_refuse(job, "is cut short after %zu bytes, needs the whole file.", job->size);
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return fa_fail_memory(job->where, (size_t)(job->width * job->height) * 4);
    return fa_picture_refuse(job, "is damaged (%s), needs the file as it was written.",
                             status == VP8_STATUS_UNSUPPORTED_FEATURE ? "it needs a feature that is unknown"
                             : status == VP8_STATUS_INVALID_PARAM     ? "its header makes no sense"
                                                                      : "its data make no sense");
}

/* The first frame on its canvas, RGBA. */
static bool decode_animation(fa_picture_job *job)
{
    WebPAnimDecoderOptions options;
    WebPData data = {.bytes = job->bytes, .size = job->size};
    if (!WebPAnimDecoderOptionsInit(&options))
        return fa_picture_refuse(job, "needs another version of libwebp than the one that is installed.");
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, &options);
    uint8_t *frame = NULL;
    int time;
    bool fine = decoder != NULL && WebPAnimDecoderGetNext(decoder, &frame, &time) && frame != NULL;
    if (fine)
        memcpy(job->pixels, frame, (size_t)(job->width * job->height) * 4);
    WebPAnimDecoderDelete(decoder);
    return fine ||
           fa_picture_refuse(job, "is damaged or cut short in its first frame, needs the file as it was written.");
}

static int find_orientation(const fa_picture_job *job)
{
    WebPData data = {.bytes = job->bytes, .size = job->size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    int orientation = 1;
    WebPChunkIterator chunk;
    if (demuxer != NULL && WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        orientation = fa_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    WebPDemuxDelete(demuxer);
    return orientation;
}

bool fa_decode_webp(fa_picture_job *job)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(job->bytes, job->size, &features);
    if (status != VP8_STATUS_OK)
        return damaged(job, status);
    int channels = features.has_alpha || features.has_animation ? 4 : 3;
    if (!fa_picture_room(job, (uint64_t)features.width, (uint64_t)features.height, channels))
        return false;
    if (features.has_animation) {
        job->traits |= 1u << FA_TRAIT_ANIMATED;
        return decode_animation(job);
    }
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return fa_picture_refuse(job, "needs another version of libwebp than the one that is installed.");
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = job->pixels;
    config.output.u.RGBA.stride = (int)(job->width * channels);
    config.output.u.RGBA.size = (size_t)(job->width * job->height * channels);
    status = WebPDecode(job->bytes, job->size, &config);
    WebPFreeDecBuffer(&config.output);
    if (status != VP8_STATUS_OK)
        return damaged(job, status);
    job->orientation = find_orientation(job);
    return true;
}

#else

bool fa_decode_webp(fa_picture_job *job)
{
    return fa_picture_refuse(job, "this build of Facula does not read, needs libwebp. Hint: install libwebp-dev and "
                                  "build again, or convert the picture.");
}

#endif
