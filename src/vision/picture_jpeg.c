/* JPEG by libjpeg-turbo: grey, YCbCr and RGB, CMYK and YCCK (as Adobe writes them, inverted), baseline and progressive.
 *
 * A decompressor for each picture: one that is used again keeps the tables of the picture before, which a damaged
 * picture without its own would be decoded with. An error of libjpeg leaves by longjmp to the one setjmp of guarded;
 * everything that outlives the jump lies in the state or the job. Data that ends early is an error, in the markers
 * after the last row too; damage that libjpeg passes over with a warning is counted, as Pillow passes over it. */
#include "vision/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MAX_SCANS = 500, /* a progressive picture of more scans is an attack on time */
    SMALL_IMCU = 64
};

typedef struct jpeg_state {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    bool jumped, truncated, too_many_scans;
    char message[JMSG_LENGTH_MAX];
} jpeg_state;

static void on_error(j_common_ptr cinfo)
{
    jpeg_state *state = cinfo->client_data;
    (*cinfo->err->format_message)(cinfo, state->message);
    longjmp(state->leave, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0)
        cinfo->err->num_warnings++;
}

static void no_output(j_common_ptr cinfo)
{
    (void)cinfo;
}

static void on_progress(j_common_ptr cinfo)
{
    jpeg_state *state = cinfo->client_data;
    if (state->cinfo.input_scan_number > MAX_SCANS) {
        state->too_many_scans = true;
        longjmp(state->leave, 1);
    }
}

static void nothing(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

static boolean out_of_bytes(j_decompress_ptr cinfo)
{
    jpeg_state *state = cinfo->client_data;
    state->truncated = true;
    longjmp(state->leave, 1);
}

static void skip(j_decompress_ptr cinfo, long count)
{
    struct jpeg_source_mgr *source = cinfo->src;
    if (count <= 0)
        return;
    if ((size_t)count > source->bytes_in_buffer)
        (void)out_of_bytes(cinfo);
    source->next_input_byte += count;
    source->bytes_in_buffer -= (size_t)count;
}

/* step(state, job); false, with state->jumped set, after a jump out of it. Not inlined, so that a jump finds no local
 * variable of a caller's changed. */
static __attribute__((noinline)) bool guarded(jpeg_state *state, bool (*step)(jpeg_state *, fa_picture_job *),
                                              fa_picture_job *job)
{
    state->jumped = false;
    if (setjmp(state->leave) != 0) {
        state->jumped = true;
        return false;
    }
    return step(state, job);
}

static void make_decompressor(jpeg_state *state, const fa_picture_job *job)
{
    jpeg_create_decompress(&state->cinfo); /* keeps err and client_data */
    state->source = (struct jpeg_source_mgr){.next_input_byte = job->bytes,
                                             .bytes_in_buffer = job->size,
                                             .init_source = nothing,
                                             .fill_input_buffer = out_of_bytes,
                                             .skip_input_data = skip,
                                             .resync_to_restart = jpeg_resync_to_restart,
                                             .term_source = nothing};
    state->cinfo.src = &state->source;
    state->progress.progress_monitor = on_progress;
    state->cinfo.progress = &state->progress;
    jpeg_save_markers(&state->cinfo, JPEG_APP0 + 1, 0xffff);
}

static int find_orientation(const struct jpeg_decompress_struct *cinfo)
{
    for (jpeg_saved_marker_ptr marker = cinfo->marker_list; marker != NULL; marker = marker->next)
        if (marker->marker == JPEG_APP0 + 1 && marker->data_length > 6 && memcmp(marker->data, "Exif\0\0", 6) == 0)
            return fa_exif_orientation(marker->data, marker->data_length);
    return 1;
}

/* CMYK with 0 for full ink: Pillow inverts, then takes 255 - min(255, ink) of (255 - k) - c (255 - k) / 255. */
static void from_cmyk(uint8_t *to, const uint8_t *from, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++, from += 4, to += 3) {
        int key = from[3]; /* 255 - ink */
        for (int c = 0; c < 3; c++) {
            unsigned t = (unsigned)(255 - from[c]) * (unsigned)key + 128;
            int value = key - (int)((t + (t >> 8)) >> 8);
            to[c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static void read_rows(struct jpeg_decompress_struct *cinfo, fa_picture_job *job, uint8_t *ink)
{
    size_t row = (size_t)job->width * (size_t)job->channels;
    while (cinfo->output_scanline < cinfo->output_height) {
        uint8_t *to = job->pixels + cinfo->output_scanline * row;
        if (ink != NULL) {
            JSAMPROW line = ink;
            jpeg_read_scanlines(cinfo, &line, 1);
            from_cmyk(to, ink, job->width);
        } else {
            JSAMPROW lines[SMALL_IMCU];
            unsigned n = cinfo->output_height - cinfo->output_scanline;
            n = n < SMALL_IMCU ? n : SMALL_IMCU;
            for (unsigned i = 0; i < n; i++)
                lines[i] = to + i * row;
            jpeg_read_scanlines(cinfo, lines, n);
        }
    }
}

/* Of a picture in several scans libjpeg keeps all coefficients, 2 bytes each. */
static size_t coefficient_bytes(struct jpeg_decompress_struct *cinfo)
{
    size_t blocks = 0;
    for (int c = 0; c < cinfo->num_components && jpeg_has_multiple_scans(cinfo); c++)
        blocks += (size_t)cinfo->comp_info[c].width_in_blocks * cinfo->comp_info[c].height_in_blocks;
    return blocks * DCTSIZE2 * 2;
}

/* False after an error that is raised already; libjpeg's own leave by longjmp. */
static bool decode(jpeg_state *state, fa_picture_job *job)
{
    struct jpeg_decompress_struct *cinfo = &state->cinfo;
    make_decompressor(state, job);
    jpeg_read_header(cinfo, TRUE);
    int components = cinfo->num_components;
    if (components != 1 && components != 3 && components != 4)
        return fa_picture_refuse(job, "has %d components, needs 1, 3 or 4.", components);
    job->decoder_bytes = coefficient_bytes(cinfo);
    if (!fa_picture_room(job, cinfo->image_width, cinfo->image_height, components == 1 ? 1 : 3))
        return false;
    uint8_t *ink = NULL;
    if (components == 4 && (ink = fa_block_room(&job->reader->rows, (size_t)job->width * 4)) == NULL)
        return fa_fail_memory(job->where, (size_t)job->width * 4);
    job->orientation = find_orientation(cinfo);
    cinfo->out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    if (components == 4)
        job->traits |= 1u << FA_TRAIT_CMYK;
    jpeg_start_decompress(cinfo);
    read_rows(cinfo, job, ink);
    jpeg_finish_decompress(cinfo);
    if (state->errors.num_warnings > 0)
        job->traits |= 1u << FA_TRAIT_REPAIRED;
    return true;
}

/* Says why libjpeg gave up. */
static bool explain(const jpeg_state *state, const fa_picture_job *job)
{
    if (state->too_many_scans)
        return fa_picture_refuse(job, "has more than %d scans, needs fewer.", MAX_SCANS);
    if (state->truncated && job->pixels == NULL)
        return fa_picture_refuse(job, "is cut short after %zu bytes, in its header, needs the whole file.", job->size);
    if (state->truncated)
        return fa_picture_refuse(job, "is cut short after %zu bytes, at row %u of %u, needs the whole file.", job->size,
                                 state->cinfo.output_scanline, state->cinfo.image_height);
    if (state->errors.msg_code == JERR_OUT_OF_MEMORY)
        return fa_fail_memory(job->where, (size_t)job->width * (size_t)job->height);
    return fa_picture_refuse(job, "is damaged (%s), needs the file as it was written.", state->message);
}

bool fa_decode_jpeg(fa_picture_job *job)
{
    jpeg_state state;
    memset(&state, 0, sizeof state);
    state.cinfo.err = jpeg_std_error(&state.errors);
    state.errors.error_exit = on_error;
    state.errors.emit_message = on_message;
    state.errors.output_message = no_output;
    state.cinfo.client_data = &state;
    bool fine = guarded(&state, decode, job) || (state.jumped && explain(&state, job));
    jpeg_destroy_decompress(&state.cinfo);
    return fine;
}
