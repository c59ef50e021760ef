/* Counts lines, words, characters and bytes of a UTF-8 text, and names its most frequent words.
 *
 * clang --target=wasm32 -nostdlib -O2 -fno-builtin -Wall -Wextra -Werror -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536 -o word-count.wasm word-count.c
 */
#include "enclaved.h"

enum { SHOWN = 10 };

typedef struct {
  const u8 *text;
  u32 size, hash, count;
} word;

/* Open addressing; there are always more places than words. */
typedef struct {
  word *places;
  u32 mask, used;
} table;

/* One code point; its size, or 0 where the bytes are not UTF-8 (Unicode 15, table 3-7). */
static u32 decode(const u8 *text, u32 left, u32 *point) {
  static const u32 least[5] = {0, 0, 0x80, 0x800, 0x10000};
  u32 first = text[0];
  u32 size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (!size || size > left) return 0;
  *point = size == 1 ? first : first & (0x7fu >> size);
  for (u32 i = 1; i < size; i++) {
    if (text[i] >> 6 != 2) return 0;
    *point = *point << 6 | (text[i] & 0x3f);
  }
  int surrogate = *point >= 0xd800 && *point <= 0xdfff;
  return *point < least[size] || *point > 0x10ffff || surrogate ? 0 : size;
}

/* Letters and digits of ASCII, and beyond it whatever is no space, punctuation or symbol of the common blocks. */
static int is_word_part(u32 point) {
  if (point < 0x80) return (point >= '0' && point <= '9') || ((point | 32) >= 'a' && (point | 32) <= 'z');
  if (point < 0xc0) return point == 0xaa || point == 0xb5 || point == 0xba;
  if (point >= 0x2000 && point <= 0x2bff) return 0;
  if (point >= 0x3000 && point <= 0x303f) return 0;
  return point != 0xd7 && point != 0xf7 && point != 0xfeff;
}

/* Small letters of ASCII, Latin-1, Greek and Cyrillic, all of them as long in bytes as the capital. */
static u32 small(u32 point) {
  if (point >= 'A' && point <= 'Z') return point + 32;
  if (point >= 0xc0 && point <= 0xde && point != 0xd7) return point + 32;
  if (point >= 0x391 && point <= 0x3a9 && point != 0x3a2) return point + 32;
  if (point >= 0x410 && point <= 0x42f) return point + 32;
  if (point >= 0x400 && point <= 0x40f) return point + 80;
  return point;
}

static void encode(u32 point, u32 size, u8 *text) {
  if (size == 1) text[0] = (u8)point;
  if (size == 2) text[0] = (u8)(0xc0 | point >> 6), text[1] = (u8)(0x80 | (point & 0x3f));
}

static int same(const word *one, const word *other) {
  if (one->hash != other->hash || one->size != other->size) return 0;
  for (u32 i = 0; i < one->size; i++)
    if (one->text[i] != other->text[i]) return 0;
  return 1;
}

static word *place_of(const table *in, const word *it) {
  u32 at = it->hash & in->mask;
  while (in->places[at].count && !same(&in->places[at], it)) at = (at + 1) & in->mask;
  return &in->places[at];
}

static void enlarge(table *it) {
  table larger = {need((it->mask + 1) * 2 * sizeof(word)), it->mask * 2 + 1, it->used};
  for (u32 i = 0; i <= it->mask; i++)
    if (it->places[i].count) *place_of(&larger, &it->places[i]) = it->places[i];
  *it = larger;
}

static void count_word(table *in, const u8 *text, u32 size) {
  word it = {text, size, 2166136261u, 0}; /* FNV-1a */
  for (u32 i = 0; i < size; i++) it.hash = (it.hash ^ text[i]) * 16777619u;
  word *place = place_of(in, &it);
  if (!place->count) {
    *place = it;
    in->used++;
  }
  place->count++;
  if (in->used * 2 > in->mask) enlarge(in);
}

/* The more frequent comes first; of equals the one that is first by its bytes. */
static int comes_before(const word *one, const word *other) {
  if (one->count != other->count) return one->count > other->count;
  for (u32 i = 0; i < one->size && i < other->size; i++)
    if (one->text[i] != other->text[i]) return one->text[i] < other->text[i];
  return one->size < other->size;
}

static void put_most_frequent(answer *to, const table *of) {
  const word *best[SHOWN];
  u32 found = 0;
  for (u32 i = 0; i <= of->mask; i++) {
    const word *it = &of->places[i];
    if (!it->count) continue;
    u32 at = found < SHOWN ? found++ : SHOWN;
    if (at == SHOWN && !comes_before(it, best[--at])) continue;
    for (; at > 0 && comes_before(it, best[at - 1]); at--) best[at] = best[at - 1];
    best[at] = it;
  }
  for (u32 i = 0; i < found; i++) {
    put_text(to, i ? ",\n    {\"word\": \"" : "\n    {\"word\": \"");
    put(to, best[i]->text, best[i]->size); /* letters and digits: nothing that JSON would have to escape */
    put_text(to, "\", \"count\": ");
    put_number(to, best[i]->count);
    put_text(to, "}");
  }
}

static void put_field(answer *to, const char *name, u32 number) {
  put_text(to, name);
  put_number(to, number);
}

EXPORT(enclaved_handle) u64 enclaved_handle(u32 input, u32 size) {
  u8 *text = (u8 *)(unsigned long)input;
  table words = {need(1024 * sizeof(word)), 1023, 0};
  u32 lines = 0, total = 0, characters = 0, begin = size, point = 0;

  for (u32 at = 0, step; at < size; at += step) {
    step = decode(text + at, size - at, &point);
    if (!step) {
      answer error = begin_answer(1);
      put_field(&error, "not UTF-8 at byte ", at);
      return finish(&error);
    }
    characters++;
    lines += point == '\n';
    int inside = is_word_part(point);
    if (inside) encode(small(point), step, text + at);
    if (inside && begin == size) begin = at;
    if (!inside && begin < size) {
      count_word(&words, text + begin, at - begin);
      total++;
      begin = size;
    }
  }
  if (begin < size) {
    count_word(&words, text + begin, size - begin);
    total++;
  }

  answer output = begin_answer(0);
  put_field(&output, "{\n  \"lines\": ", lines);
  put_field(&output, ",\n  \"words\": ", total);
  put_field(&output, ",\n  \"distinct\": ", words.used);
  put_field(&output, ",\n  \"characters\": ", characters);
  put_field(&output, ",\n  \"bytes\": ", size);
  put_text(&output, ",\n  \"most_frequent\": [");
  put_most_frequent(&output, &words);
  put_text(&output, words.used ? "\n  ]\n}\n" : "]\n}\n");
  return finish(&output);
}
