/* Reads and writes PNG images (ISO/IEC 15948): every kind of colour and depth, but not interlaced ones. */
#ifndef PNG_H
#define PNG_H

#include "image.h"
#include "inflate.h"

static const u8 png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

#define CHUNK(a, b, c, d) ((u32)(a) << 24 | (u32)(b) << 16 | (u32)(c) << 8 | (u32)(d))

enum { GREY = 0, COLOUR = 2, PALETTE = 3, GREY_OPACITY = 4, COLOUR_OPACITY = 6 };

typedef struct {
  u32 width, height, depth, kind;
  u32 samples;     /* of each pixel */
  u32 row;         /* bytes of a row, without the filter's */
  u32 step;        /* bytes from a sample to the one that filters compare it with */
  u8 palette[256][4];
  u32 colours;
  u8 *data; /* all IDAT chunks, one behind the other */
  u32 size;
} png;

static u32 crc32(const u8 *data, u32 size) {
  u32 crc = 0xffffffff;
  for (u32 i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc;
}

static const char *read_header(png *it, const u8 *at, u32 size) {
  static const u8 samples[7] = {1, 0, 3, 1, 2, 0, 4};
  if (size != 13 || at[10] || at[11]) return "its header is damaged";
  it->width = big_endian(at);
  it->height = big_endian(at + 4);
  it->depth = at[8];
  it->kind = at[9];
  it->samples = it->kind < 7 ? samples[it->kind] : 0;
  u32 depth = it->depth;
  int is_small = depth == 1 || depth == 2 || depth == 4;
  int fits = depth == 8 || (depth == 16 && it->kind != PALETTE) || (is_small && (it->kind == GREY || it->kind == PALETTE));
  if (!it->samples || !fits) return "its header names no kind of colour";
  if (at[12]) return "it is interlaced, and that is not read here";
  if (it->width > MOST_SIDE || it->height > MOST_SIDE) return "it is larger than 16 megapixels";
  it->row = (it->width * it->samples * depth + 7) / 8;
  it->step = (it->samples * depth + 7) / 8;
  return 0;
}

static const char *read_palette(png *it, const u8 *at, u32 size) {
  if (size % 3 || size > 768) return "its palette is damaged";
  it->colours = size / 3;
  for (u32 i = 0; i < it->colours; i++) set_pixel(it->palette[i], at[i * 3], at[i * 3 + 1], at[i * 3 + 2], 255);
  return 0;
}

static const char *read_chunks(png *it, const u8 *bytes, u32 size) {
  const char *wrong = 0;
  it->data = need(size);
  for (u32 at = 8, number = 0;; number++) {
    if (size - at < 12) return "it is cut";
    u32 length = big_endian(bytes + at), name = big_endian(bytes + at + 4);
    const u8 *body = bytes + at + 8;
    if (length > size - at - 12) return "it is cut";
    if (crc32(bytes + at + 4, length + 4) != big_endian(body + length)) return "one of its parts does not have its checksum";
    if ((number == 0) != (name == CHUNK('I', 'H', 'D', 'R'))) return "it does not have one header";
    if (number == 0) wrong = read_header(it, body, length);
    if (name == CHUNK('P', 'L', 'T', 'E')) wrong = read_palette(it, body, length);
    if (name == CHUNK('t', 'R', 'N', 'S') && it->kind == PALETTE)
      for (u32 i = 0; i < length && i < 256; i++) it->palette[i][3] = body[i];
    if (name == CHUNK('I', 'D', 'A', 'T')) {
      memcpy(it->data + it->size, body, length);
      it->size += length;
    }
    if (wrong || name == CHUNK('I', 'E', 'N', 'D')) return wrong;
    at += length + 12;
  }
}

static u32 paeth(u32 left, u32 above, u32 corner) {
  int guess = (int)(left + above) - (int)corner;
  int to_left = guess - (int)left, to_above = guess - (int)above, to_corner = guess - (int)corner;
  if (to_left < 0) to_left = -to_left;
  if (to_above < 0) to_above = -to_above;
  if (to_corner < 0) to_corner = -to_corner;
  return to_left <= to_above && to_left <= to_corner ? left : to_above <= to_corner ? above : corner;
}

/* Undoes a row's filter in place; `before` is the row above, zeros for the first. */
static const char *unfilter(u8 *row, const u8 *before, u32 size, u32 step, u32 filter) {
  if (filter > 4) return "it has a row with a filter that does not exist";
  for (u32 i = 0; i < size; i++) {
    u32 left = i < step ? 0 : row[i - step], above = before[i], corner = i < step ? 0 : before[i - step];
    u32 add = filter == 1 ? left : filter == 2 ? above : filter == 3 ? (left + above) / 2 : filter == 4 ? paeth(left, above, corner) : 0;
    row[i] = (u8)(row[i] + add);
  }
  return 0;
}

/* A sample of a row: eight bits of it, or its number in the palette. */
static u32 sample(const png *it, const u8 *row, u32 number) {
  if (it->depth == 16) return row[number * 2];
  if (it->depth == 8) return row[number];
  u32 most = (1u << it->depth) - 1, bit = number * it->depth;
  u32 value = row[bit / 8] >> (8 - it->depth - bit % 8) & most;
  return it->kind == PALETTE ? value : value * 255 / most;
}

static const char *convert_row(const png *it, const u8 *row, u8 *pixels) {
  for (u32 x = 0; x < it->width; x++, pixels += 4) {
    u32 first = sample(it, row, x * it->samples);
    if (it->kind == PALETTE) {
      if (first >= it->colours) return "it uses a colour that its palette does not have";
      memcpy(pixels, it->palette[first], 4);
    } else if (it->samples < 3) {
      set_pixel(pixels, first, first, first, it->samples == 2 ? sample(it, row, x * 2 + 1) : 255);
    } else {
      u32 at = x * it->samples, opacity = it->samples == 4 ? sample(it, row, at + 3) : 255;
      set_pixel(pixels, first, sample(it, row, at + 1), sample(it, row, at + 2), opacity);
    }
  }
  return 0;
}

static const char *read_png(image *to, const u8 *bytes, u32 size) {
  png *it = need(sizeof(png));
  const char *wrong = read_chunks(it, bytes, size);
  if (!wrong) wrong = make_image(to, it->width, it->height);
  if (wrong) return wrong;
  u32 line = it->row + 1; /* each row is preceded by its filter */
  u8 *raw = need(line * it->height), *before = need(it->row);
  wrong = inflate(it->data, it->size, raw, line * it->height);
  for (u32 y = 0; y < it->height && !wrong; y++) {
    u8 *row = raw + y * line + 1;
    wrong = unfilter(row, before, it->row, it->step, row[-1]);
    if (!wrong) wrong = convert_row(it, row, to->pixels + y * it->width * 4);
    before = row;
  }
  return wrong;
}

static void put_big_endian(answer *to, u32 number) {
  u8 bytes[4] = {(u8)(number >> 24), (u8)(number >> 16), (u8)(number >> 8), (u8)number};
  put(to, bytes, 4);
}

/* Closes the chunk that begins at `begin` with its length: fills that in, and adds the checksum. */
static void end_chunk(answer *to, u32 begin) {
  u32 length = to->size - begin - 8;
  for (int i = 0; i < 4; i++) to->bytes[begin + (u32)i] = (u8)(length >> (24 - 8 * i));
  put_big_endian(to, crc32(to->bytes + begin + 4, length + 4));
}

/* Writes an image as PNG, its data stored as it is: it is small. */
static void put_png(answer *to, const image *it) {
  static const u8 kind[5] = {8, COLOUR_OPACITY, 0, 0, 0};
  u32 line = it->width * 4 + 1, size = line * it->height, begin;
  u8 *raw = need(size);
  for (u32 y = 0; y < it->height; y++) memcpy(raw + y * line + 1, it->pixels + y * it->width * 4, it->width * 4);
  put(to, png_signature, sizeof png_signature);
  begin = to->size;
  put(to, "\0\0\0\0IHDR", 8);
  put_big_endian(to, it->width);
  put_big_endian(to, it->height);
  put(to, kind, sizeof kind);
  end_chunk(to, begin);
  begin = to->size;
  put(to, "\0\0\0\0IDAT\x78\x01", 10);
  for (u32 at = 0; at < size;) {
    u32 part = size - at > 65535 ? 65535 : size - at;
    u8 head[5] = {at + part == size, (u8)part, (u8)(part >> 8), (u8)~part, (u8)(~part >> 8)};
    put(to, head, sizeof head);
    put(to, raw + at, part);
    at += part;
  }
  put_big_endian(to, adler32(raw, size));
  end_chunk(to, begin);
  begin = to->size;
  put(to, "\0\0\0\0IEND", 8);
  end_chunk(to, begin);
}

#endif
