/* An image in memory, and its size's bounds. */
#ifndef IMAGE_H
#define IMAGE_H

#include "enclaved.h"

enum { MOST_SIDE = 16384, MOST_PIXELS = 1 << 24 };

typedef struct {
  u32 width, height;
  u8 *pixels; /* red, green, blue and opacity of each, row by row */
} image;

/* Sets memory aside, once the size is known to be one that fits. */
static const char *make_image(image *it, u32 width, u32 height) {
  if (!width || !height) return "it has no pixels";
  if (width > MOST_SIDE || height > MOST_SIDE || width * height > MOST_PIXELS) return "it is larger than 16 megapixels";
  it->width = width;
  it->height = height;
  it->pixels = need(width * height * 4);
  return 0;
}

static void set_pixel(u8 *pixel, u32 red, u32 green, u32 blue, u32 opacity) {
  pixel[0] = (u8)red;
  pixel[1] = (u8)green;
  pixel[2] = (u8)blue;
  pixel[3] = (u8)opacity;
}

#endif
