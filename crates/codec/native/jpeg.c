/* A narrow door to libjpeg-turbo: one frame in, one frame out, no colour conversion that was not
 * asked for. The TurboJPEG API always converts YCbCr to RGB and refuses lossless YCbCr; the
 * libjpeg API under it does not, but reports errors by longjmp, which Rust cannot do. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#define TEXT JMSG_LENGTH_MAX

struct gantry_jpeg_header {
  uint32_t width, height, components, precision;
  uint32_t lossless;       /* process 14 */
  uint32_t colour;         /* as libjpeg guesses it: 0 other, 1 grey, 2 RGB, 3 YCbCr */
  uint32_t subsampled;     /* some component has fewer samples than another */
  uint32_t jfif;           /* a JFIF marker was seen */
  uint32_t adobe;          /* 0 no Adobe marker, else 1 + its transform code */
};

struct failure {
  struct jpeg_error_mgr manager;
  jmp_buf jump;
  char *text;              /* TEXT bytes */
  int damaged;             /* the entropy-coded data is not what it should be */
};

static void on_error(j_common_ptr info) {
  struct failure *failure = (struct failure *)info->err;
  (*info->err->format_message)(info, failure->text);
  longjmp(failure->jump, 1);
}

static void on_message(j_common_ptr info, int level) {
  struct failure *failure = (struct failure *)info->err;
  if (level >= 0)
    return;
  switch (info->err->msg_code) {
    /* What does not touch the samples. */
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_BOGUS_ICC:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_NOT_SEQUENTIAL:
      break;
    default:
      if (!failure->damaged)
        (*info->err->format_message)(info, failure->text);
      failure->damaged = 1;
  }
}

static void no_output(j_common_ptr info) { (void)info; }

static struct jpeg_error_mgr *watch(struct failure *failure, char *text) {
  jpeg_std_error(&failure->manager);
  failure->manager.error_exit = on_error;
  failure->manager.emit_message = on_message;
  failure->manager.output_message = no_output;
  failure->text = text;
  failure->damaged = 0;
  text[0] = 0;
  return &failure->manager;
}

static void describe(j_decompress_ptr info, struct gantry_jpeg_header *header) {
  int i;
  memset(header, 0, sizeof *header);
  header->width = info->image_width;
  header->height = info->image_height;
  header->components = (uint32_t)info->num_components;
  header->precision = (uint32_t)info->data_precision;
  for (i = 1; i < info->num_components; i++)
    if (info->comp_info[i].h_samp_factor != info->comp_info[0].h_samp_factor ||
        info->comp_info[i].v_samp_factor != info->comp_info[0].v_samp_factor)
      header->subsampled = 1;
  switch (info->jpeg_color_space) {
    case JCS_GRAYSCALE: header->colour = 1; break;
    case JCS_RGB: header->colour = 2; break;
    case JCS_YCbCr: header->colour = 3; break;
    default: header->colour = 0;
  }
  header->jfif = info->saw_JFIF_marker ? 1 : 0;
  header->adobe = info->saw_Adobe_marker ? 1u + info->Adobe_transform : 0;
}

/* The process is in the frame header's marker, which libjpeg does not hand out. */
static uint32_t is_lossless(const uint8_t *data, size_t length) {
  size_t at = 2;
  while (at + 4 <= length && data[at] == 0xFF) {
    uint8_t marker = data[at + 1];
    if (marker == 0xFF) { at++; continue; }
    if (marker == 0xC3 || marker == 0xC7 || marker == 0xCB || marker == 0xCF)
      return 1;
    if ((marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) ||
        marker == 0xDA || marker == 0xD9)
      return 0;
    at += 2 + (((size_t)data[at + 2] << 8) | data[at + 3]);
  }
  return 0;
}

int gantry_jpeg_header(const uint8_t *data, size_t length, struct gantry_jpeg_header *header, char *text) {
  struct jpeg_decompress_struct info;
  struct failure failure;
  info.err = watch(&failure, text);
  if (setjmp(failure.jump)) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, (unsigned long)length);
  jpeg_read_header(&info, TRUE);
  describe(&info, header);
  header->lossless = is_lossless(data, length);
  jpeg_destroy_decompress(&info);
  return 0;
}

/* Decodes to samples by pixel: bytes up to 8 bits of precision, else native 16-bit words. The
 * frame must be of the size and precision of `expected`; `out` holds all its samples. */
int gantry_jpeg_decode(const uint8_t *data, size_t length, const struct gantry_jpeg_header *expected,
                       void *out, char *text) {
  struct jpeg_decompress_struct info;
  struct failure failure;
  struct gantry_jpeg_header header;
  size_t row;
  info.err = watch(&failure, text);
  if (setjmp(failure.jump)) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, (unsigned long)length);
  jpeg_read_header(&info, TRUE);
  describe(&info, &header);
  /* Hands the samples out as they are: no conversion between equal colour spaces. */
  info.out_color_space = info.jpeg_color_space;
  info.quantize_colors = FALSE;
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  if (header.width != expected->width || header.height != expected->height ||
      header.components != expected->components || header.precision != expected->precision ||
      info.output_width != header.width || info.output_height != header.height ||
      (uint32_t)info.output_components != header.components) {
    strcpy(text, "frame changes its size");
    jpeg_destroy_decompress(&info);
    return 1;
  }
  row = (size_t)header.width * header.components;
  while (info.output_scanline < info.output_height) {
    size_t offset = (size_t)info.output_scanline * row;
    JDIMENSION done;
    if (header.precision <= 8) {
      JSAMPROW line = (JSAMPROW)out + offset;
      done = jpeg_read_scanlines(&info, &line, 1);
    } else if (header.precision <= 12) {
      J12SAMPROW line = (J12SAMPROW)out + offset;
      done = jpeg12_read_scanlines(&info, &line, 1);
    } else {
      J16SAMPROW line = (J16SAMPROW)out + offset;
      done = jpeg16_read_scanlines(&info, &line, 1);
    }
    if (done != 1) {
      strcpy(text, "frame ends early");
      failure.damaged = 1;
      break;
    }
  }
  /* Not jpeg_finish_decompress: it would complain of a missing end marker, which harms nobody. */
  jpeg_destroy_decompress(&info);
  return failure.damaged;
}

struct gantry_jpeg_options {
  uint32_t width, height, components, precision;
  uint32_t lossless;       /* process 14 with selection value 1, else DCT */
  uint32_t quality;        /* 1 to 100 */
  uint32_t input;          /* colour space of the samples: 0 other, 1 grey, 2 RGB, 3 YCbCr */
  uint32_t stored;         /* colour space to store, same codes; differs only RGB to YCbCr */
  uint32_t horizontal, vertical; /* luminance samples for each of chrominance */
  uint32_t density_x, density_y;
  const uint8_t *icc;
  size_t icc_length;
};

static J_COLOR_SPACE space(uint32_t code) {
  switch (code) {
    case 1: return JCS_GRAYSCALE;
    case 2: return JCS_RGB;
    case 3: return JCS_YCbCr;
    default: return JCS_UNKNOWN;
  }
}

/* Encodes samples laid out as gantry_jpeg_decode gives them. `*out` is to be freed with
 * gantry_jpeg_free. */
int gantry_jpeg_encode(const void *samples, const struct gantry_jpeg_options *options,
                       uint8_t **out, size_t *out_length, char *text) {
  struct jpeg_compress_struct info;
  struct failure failure;
  unsigned char *buffer = NULL;
  unsigned long size = 0;
  size_t row = (size_t)options->width * options->components;
  info.err = watch(&failure, text);
  if (setjmp(failure.jump)) {
    /* What the destination manager holds is lost: it cannot be reached, and its options are
     * checked, so that this is rare. */
    jpeg_destroy_compress(&info);
    return 1;
  }
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = options->width;
  info.image_height = options->height;
  info.input_components = (int)options->components;
  info.in_color_space = space(options->input);
  info.data_precision = (int)options->precision;
  jpeg_set_defaults(&info);
  info.data_precision = (int)options->precision;
  jpeg_set_colorspace(&info, space(options->stored));
  if (options->lossless) {
    jpeg_enable_lossless(&info, 1, 0);
    /* No markers that claim a colour space: DICOM's attributes tell it. */
    info.write_JFIF_header = FALSE;
    info.write_Adobe_marker = FALSE;
  } else {
    jpeg_set_quality(&info, (int)options->quality, TRUE);
    info.dct_method = JDCT_ISLOW;
    if (options->stored == 3) {
      info.comp_info[0].h_samp_factor = (int)options->horizontal;
      info.comp_info[0].v_samp_factor = (int)options->vertical;
    }
    if (options->precision > 8)
      info.optimize_coding = TRUE;
    if (options->density_x && options->density_y) {
      info.density_unit = 0;
      info.X_density = (UINT16)options->density_x;
      info.Y_density = (UINT16)options->density_y;
    }
  }
  jpeg_start_compress(&info, TRUE);
  if (options->icc && options->icc_length)
    jpeg_write_icc_profile(&info, options->icc, (unsigned int)options->icc_length);
  while (info.next_scanline < info.image_height) {
    size_t offset = (size_t)info.next_scanline * row;
    if (options->precision <= 8) {
      JSAMPROW line = (JSAMPROW)samples + offset;
      jpeg_write_scanlines(&info, &line, 1);
    } else if (options->precision <= 12) {
      J12SAMPROW line = (J12SAMPROW)samples + offset;
      jpeg12_write_scanlines(&info, &line, 1);
    } else {
      J16SAMPROW line = (J16SAMPROW)samples + offset;
      jpeg16_write_scanlines(&info, &line, 1);
    }
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  *out = buffer;
  *out_length = size;
  return 0;
}

void gantry_jpeg_free(uint8_t *buffer) { free(buffer); }
