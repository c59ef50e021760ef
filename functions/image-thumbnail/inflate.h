/* Inflate (RFC 1951) in a zlib wrapper (RFC 1950), for input that nobody has checked.
 *
 * Every read is bounded by the input, every write by the size that the caller expects: data that would
 * unpack to more, or to less, is wrong. Each function returns 0, or what is wrong in words.
 */
#ifndef INFLATE_H
#define INFLATE_H

#include "enclaved.h"

enum { LONGEST_CODE = 15, LITERALS = 288, DISTANCES = 32, END_OF_BLOCK = 256 };

typedef struct {
  const u8 *in;
  u32 size, at; /* of the input, in bytes */
  u32 bits, count;
  u8 *out;
  u32 room, made;
  int ran_dry;
} inflater;

/* A canonical Huffman code: how many codes there are of each length, and their symbols in order. */
typedef struct {
  u16 counts[LONGEST_CODE + 1];
  u16 symbols[LITERALS];
} huffman;

static u32 take_bits(inflater *it, u32 number) {
  while (it->count < number) {
    if (it->at == it->size) {
      it->ran_dry = 1;
      return 0;
    }
    it->bits |= (u32)it->in[it->at++] << it->count;
    it->count += 8;
  }
  u32 taken = it->bits & ((1u << number) - 1);
  it->bits >>= number;
  it->count -= number;
  return taken;
}

/* The next symbol, or LITERALS where no code fits. */
static u32 take_symbol(inflater *it, const huffman *code) {
  int value = 0, first = 0, index = 0; /* the code so far; the first code and symbol of its length */
  for (u32 length = 1; length <= LONGEST_CODE && !it->ran_dry; length++) {
    value |= (int)take_bits(it, 1);
    int count = code->counts[length];
    if (value - first < count) return code->symbols[index + value - first];
    index += count;
    first = (first + count) << 1;
    value <<= 1;
  }
  return LITERALS;
}

static const char *build_code(huffman *code, const u8 *lengths, u32 number) {
  u16 offsets[LONGEST_CODE + 1];
  int left = 1; /* codes that are still free at this length */
  memset(code->counts, 0, sizeof code->counts);
  for (u32 i = 0; i < number; i++) code->counts[lengths[i]]++;
  code->counts[0] = 0;
  offsets[0] = offsets[1] = 0;
  for (u32 length = 1; length <= LONGEST_CODE; length++) {
    left = left * 2 - code->counts[length];
    if (left < 0) return "its data has a Huffman code with too many words";
    if (length < LONGEST_CODE) offsets[length + 1] = (u16)(offsets[length] + code->counts[length]);
  }
  for (u32 i = 0; i < number; i++)
    if (lengths[i]) code->symbols[offsets[lengths[i]]++] = (u16)i;
  return 0; /* words may be missing: who uses one of those finds no symbol */
}

static const char *copy_stored(inflater *it) {
  it->bits = it->count = 0; /* what is left of the byte */
  if (it->size - it->at < 4) return "its data is cut";
  u32 length = it->in[it->at] | (u32)it->in[it->at + 1] << 8;
  u32 inverse = it->in[it->at + 2] | (u32)it->in[it->at + 3] << 8;
  it->at += 4;
  if (length != (inverse ^ 0xffff)) return "its data has a damaged length";
  if (length > it->size - it->at) return "its data is cut";
  if (length > it->room - it->made) return "its data is longer than its size says";
  memcpy(it->out + it->made, it->in + it->at, length);
  it->at += length;
  it->made += length;
  return 0;
}

static const char *copy_match(inflater *it, u32 symbol, const huffman *distances) {
  static const u16 length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const u8 length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const u16 distance_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  static const u8 distance_bits[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                       6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
  if (symbol - 257 >= 29) return "its data has a length that does not exist";
  u32 length = length_base[symbol - 257] + take_bits(it, length_bits[symbol - 257]);
  u32 which = take_symbol(it, distances);
  if (which >= 30) return it->ran_dry ? "its data is cut" : "its data has a distance that does not exist";
  u32 distance = distance_base[which] + take_bits(it, distance_bits[which]);
  if (it->ran_dry) return "its data is cut";
  if (distance > it->made) return "its data refers to what is before its beginning";
  if (length > it->room - it->made) return "its data is longer than its size says";
  for (; length; length--, it->made++) it->out[it->made] = it->out[it->made - distance]; /* they may overlap */
  return 0;
}

static const char *copy_coded(inflater *it, const huffman *literals, const huffman *distances) {
  for (;;) {
    u32 symbol = take_symbol(it, literals);
    if (it->ran_dry) return "its data is cut";
    if (symbol == END_OF_BLOCK) return 0;
    if (symbol >= LITERALS) return "its data has a word that is in no code";
    if (symbol > END_OF_BLOCK) {
      const char *wrong = copy_match(it, symbol, distances);
      if (wrong) return wrong;
    } else {
      if (it->made == it->room) return "its data is longer than its size says";
      it->out[it->made++] = (u8)symbol;
    }
  }
}

static const char *fixed_codes(huffman *literals, huffman *distances) {
  u8 lengths[LITERALS];
  for (u32 i = 0; i < LITERALS; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  const char *wrong = build_code(literals, lengths, LITERALS);
  memset(lengths, 5, DISTANCES);
  return wrong ? wrong : build_code(distances, lengths, DISTANCES);
}

static const char *read_codes(inflater *it, huffman *literals, huffman *distances) {
  static const u8 order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  u8 lengths[LITERALS + DISTANCES];
  huffman of_lengths;
  u32 literal_count = 257 + take_bits(it, 5), distance_count = 1 + take_bits(it, 5), used = 4 + take_bits(it, 4);
  if (literal_count > 286) return "its data has too many literals";
  memset(lengths, 0, sizeof lengths);
  for (u32 i = 0; i < used; i++) lengths[order[i]] = (u8)take_bits(it, 3);
  const char *wrong = build_code(&of_lengths, lengths, 19);
  if (wrong) return wrong;
  for (u32 at = 0, total = literal_count + distance_count; at < total;) {
    u32 symbol = take_symbol(it, &of_lengths), repeat = 1, length = symbol;
    if (it->ran_dry) return "its data is cut";
    if (symbol > 18) return "its data has a word that is in no code";
    if (symbol == 16 && at == 0) return "its data repeats a length before the first";
    if (symbol == 16) length = lengths[at - 1], repeat = 3 + take_bits(it, 2);
    if (symbol == 17) length = 0, repeat = 3 + take_bits(it, 3);
    if (symbol == 18) length = 0, repeat = 11 + take_bits(it, 7);
    if (repeat > total - at) return "its data has too many lengths";
    while (repeat--) lengths[at++] = (u8)length;
  }
  wrong = build_code(literals, lengths, literal_count);
  return wrong ? wrong : build_code(distances, lengths + literal_count, distance_count);
}

static u32 adler32(const u8 *data, u32 size) {
  u32 low = 1, high = 0;
  for (u32 i = 0; i < size; i++) {
    low = (low + data[i]) % 65521;
    high = (high + low) % 65521;
  }
  return high << 16 | low;
}

static u32 big_endian(const u8 *at) { return (u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3]; }

/* Unpacks a zlib stream to exactly `room` bytes. */
static const char *inflate(const u8 *in, u32 size, u8 *out, u32 room) {
  inflater it = {in, size, 2, 0, 0, out, room, 0, 0};
  huffman *literals = need(sizeof(huffman)), *distances = need(sizeof(huffman));
  if (size < 2 || (in[0] & 15) != 8 || in[0] >> 4 > 7 || (in[0] << 8 | in[1]) % 31 || in[1] & 32)
    return "its data is no zlib stream";
  for (u32 is_last = 0; !is_last;) {
    is_last = take_bits(&it, 1);
    u32 kind = take_bits(&it, 2);
    const char *wrong = 0;
    if (it.ran_dry) return "its data is cut";
    if (kind == 3) return "its data has a block of no known kind";
    if (kind == 0) wrong = copy_stored(&it);
    if (kind == 1) wrong = fixed_codes(literals, distances);
    if (kind == 2) wrong = read_codes(&it, literals, distances);
    if (!wrong && kind) wrong = copy_coded(&it, literals, distances);
    if (wrong) return wrong;
  }
  if (it.made != room) return "its data is shorter than its size says";
  if (size - it.at < 4) return "its data is cut";
  return big_endian(in + it.at) == adler32(out, room) ? 0 : "its data does not have its checksum";
}

#endif
