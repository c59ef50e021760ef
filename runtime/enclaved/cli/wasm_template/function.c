/* Counts the words of a text. Change it, and build it anew:
 *
 * clang --target=wasm32 -nostdlib -O2 -fno-builtin -Wall -Wextra -Werror -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536 -o function.wasm function.c
 */
#include "enclaved.h"

static int is_space(u8 byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* The input is `size` bytes at `input`; what begin_answer(0) begins is the output, what refuse() says an error. */
EXPORT(enclaved_handle) u64 enclaved_handle(u32 input, u32 size) {
  const u8 *text = (const u8 *)(unsigned long)input;
  u32 words = 0;
  for (u32 at = 0; at < size; at++) {
    if (text[at] == 0) return refuse("a text has no zero bytes");
    words += !is_space(text[at]) && (at == 0 || is_space(text[at - 1]));
  }
  answer output = begin_answer(0);
  put_number(&output, words);
  put_text(&output, " words\n");
  return finish(&output);
}
