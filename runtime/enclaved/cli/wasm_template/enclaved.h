/* What a function in C needs to run in an enclave: memory, and a way to answer. Nothing of it is imported.
 *
 * The host calls enclaved_alloc for the input's length, writes the input there, and calls enclaved_handle
 * with where it is. The answer is one byte, 0 for an output and 1 for the text of an error, and what follows
 * it. Each invocation has an instance and a memory of its own, so nothing is ever freed.
 */
#ifndef ENCLAVED_H
#define ENCLAVED_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))
#define HELPER static __attribute__((unused))
#define PAGE 65536u

extern u8 __heap_base; /* the linker's: behind all that the program itself uses */
static u32 enclaved_top;

/* Memory of that size, all zero; 0 when there is no more. */
EXPORT(enclaved_alloc) u32 enclaved_alloc(u32 size) {
  u64 begin = enclaved_top ? enclaved_top : ((u32)(unsigned long)&__heap_base + 15u) & ~15u;
  u64 end = (begin + size + 15u) & ~15ull;
  u64 have = (u64)__builtin_wasm_memory_size(0) * PAGE;
  if (end > 0xffffffffull) return 0;
  if (end > have && __builtin_wasm_memory_grow(0, (unsigned long)((end - have + PAGE - 1) / PAGE)) == -1ul) return 0;
  enclaved_top = (u32)end;
  return (u32)begin;
}

/* Memory that has to be there: without it the invocation ends. */
HELPER void *need(u32 size) {
  u32 at = enclaved_alloc(size);
  if (!at) __builtin_trap();
  return (void *)(unsigned long)at;
}

/* The compiler writes calls to these two of its own accord. */
void *memcpy(void *to, const void *from, unsigned long size) {
  for (unsigned long i = 0; i < size; i++) ((u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}

void *memset(void *to, int value, unsigned long size) {
  for (unsigned long i = 0; i < size; i++) ((u8 *)to)[i] = (u8)value;
  return to;
}

/* An answer under construction: the status byte, and what is put behind it. */
typedef struct {
  u8 *bytes;
  u32 size, room;
} answer;

HELPER void put(answer *to, const void *bytes, u32 size) {
  if (to->room - to->size < size) {
    u32 room = (to->size + size) * 2 + 256;
    u8 *larger = need(room);
    memcpy(larger, to->bytes, to->size);
    to->bytes = larger;
    to->room = room;
  }
  memcpy(to->bytes + to->size, bytes, size);
  to->size += size;
}

HELPER answer begin_answer(u8 status) {
  answer to = {need(256), 0, 256};
  put(&to, &status, 1);
  return to;
}

HELPER void put_text(answer *to, const char *text) {
  u32 size = 0;
  while (text[size]) size++;
  put(to, text, size);
}

HELPER void put_number(answer *to, u32 number) {
  char digits[10];
  u32 at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  put(to, digits + at, sizeof digits - at);
}

/* What enclaved_handle returns. */
HELPER u64 finish(const answer *it) { return (u64)(u32)(unsigned long)it->bytes << 32 | it->size; }

/* An answer that is the text of an error. */
HELPER u64 refuse(const char *why) {
  answer error = begin_answer(1);
  put_text(&error, why);
  return finish(&error);
}

#endif
