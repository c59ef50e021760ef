/* Reads binary PNM images (Netpbm): P5 is grey, P6 is colour, one byte for each sample. */
#ifndef PNM_H
#define PNM_H

#include "image.h"

typedef struct {
  const u8 *bytes;
  u32 size, at;
} pnm_text;

static int is_space(u8 byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* The next number of the header, 0 where there is none that could be right. */
static u32 pnm_number(pnm_text *in) {
  u32 number = 0;
  while (in->at < in->size && (is_space(in->bytes[in->at]) || in->bytes[in->at] == '#')) {
    if (in->bytes[in->at] == '#')
      while (in->at < in->size && in->bytes[in->at] != '\n') in->at++;
    else
      in->at++;
  }
  for (; in->at < in->size && in->bytes[in->at] >= '0' && in->bytes[in->at] <= '9'; in->at++) {
    number = number * 10 + (in->bytes[in->at] - '0');
    if (number > 0xffff) return 0;
  }
  return number;
}

static const char *read_pnm(image *it, const u8 *bytes, u32 size) {
  pnm_text in = {bytes, size, 2};
  u32 samples = bytes[1] == '6' ? 3 : 1;
  u32 width = pnm_number(&in), height = pnm_number(&in), most = pnm_number(&in);
  if (!width || !height || !most || in.at >= size || !is_space(bytes[in.at++])) return "its header is damaged";
  if (most > 255) return "it has two bytes for each sample, and only one is read here";
  const char *wrong = make_image(it, width, height);
  if (wrong) return wrong;
  if (size - in.at < width * height * samples) return "its data is shorter than its size says";
  for (u32 i = 0; i < width * height; i++) {
    u32 colour[3];
    for (u32 k = 0; k < 3; k++) {
      u32 sample = bytes[in.at + i * samples + (samples == 3 ? k : 0)];
      colour[k] = (sample > most ? most : sample) * 255 / most;
    }
    set_pixel(it->pixels + i * 4, colour[0], colour[1], colour[2], 255);
  }
  return 0;
}

#endif
