/* Makes a thumbnail of a PNG or PNM image: at most 128 pixels wide and high, as PNG.
 *
 * clang --target=wasm32 -nostdlib -O2 -fno-builtin -Wall -Wextra -Werror -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536 -o image-thumbnail.wasm image-thumbnail.c
 */
#include "enclaved.h"
#include "image.h"
#include "png.h"
#include "pnm.h"

enum { SIDE = 128 };

/* The mean of a rectangle's pixels; the colour of one counts by how opaque it is. */
static void average(const image *of, u32 left, u32 top, u32 right, u32 bottom, u8 *pixel) {
  u64 colour[3] = {0, 0, 0}, opacity = 0;
  for (u32 y = top; y < bottom; y++)
    for (u32 x = left; x < right; x++) {
      const u8 *at = of->pixels + (y * of->width + x) * 4;
      for (u32 i = 0; i < 3; i++) colour[i] += (u64)at[i] * at[3];
      opacity += at[3];
    }
  u64 count = (u64)(right - left) * (bottom - top);
  for (u32 i = 0; i < 3; i++) pixel[i] = opacity ? (u8)((colour[i] + opacity / 2) / opacity) : 0;
  pixel[3] = (u8)((opacity + count / 2) / count);
}

/* Never larger than the image itself, and of its proportions. */
static const char *shrink(const image *from, image *to) {
  u32 longer = from->width > from->height ? from->width : from->height;
  u32 side = longer < SIDE ? longer : SIDE;
  u32 width = from->width * side / longer, height = from->height * side / longer;
  const char *wrong = make_image(to, width ? width : 1, height ? height : 1);
  for (u32 y = 0; y < to->height && !wrong; y++)
    for (u32 x = 0; x < to->width; x++)
      average(from, x * from->width / to->width, y * from->height / to->height, (x + 1) * from->width / to->width,
              (y + 1) * from->height / to->height, to->pixels + (y * to->width + x) * 4);
  return wrong;
}

static int is_png(const u8 *bytes, u32 size) {
  for (u32 i = 0; i < sizeof png_signature; i++)
    if (i >= size || bytes[i] != png_signature[i]) return 0;
  return 1;
}

EXPORT(enclaved_handle) u64 enclaved_handle(u32 input, u32 size) {
  const u8 *bytes = (const u8 *)(unsigned long)input;
  image whole = {0, 0, 0}, small = {0, 0, 0};
  const char *wrong = "it is neither PNG nor binary PNM (P5, P6)";
  if (is_png(bytes, size))
    wrong = read_png(&whole, bytes, size);
  else if (size > 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6'))
    wrong = read_pnm(&whole, bytes, size);
  if (!wrong) wrong = shrink(&whole, &small);
  if (wrong) {
    answer error = begin_answer(1);
    put_text(&error, "the image cannot be read: ");
    put_text(&error, wrong);
    return finish(&error);
  }
  answer output = begin_answer(0);
  put_png(&output, &small);
  return finish(&output);
}
