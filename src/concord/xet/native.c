/* The inner loops over bytes, compiled. What each does is said in kernel.py, and done once more, slowly, in arrays.py;
   the tests hold them equal. No loop reads or writes beyond the lengths that it is given. */

#include <stddef.h>
#include <stdint.h>

#define WINDOW 64

/* Where chunks end in `content`, which begins with one: the places go to `stops`, which has room for filled / least of them, and
   their number is returned. No chunk ends in the first `scanned` bytes. The hash begins 63 bytes before the first place
   that may end a chunk, for what lies further back is shifted out by then. */
size_t concord_cut(const uint64_t table[256], const uint8_t *content, size_t scanned, size_t filled, size_t least, size_t most,
                   uint32_t *stops)
{
    size_t count = 0, start = 0;
    for (;;) {
        size_t last = start + least - 1, end = filled - start < most ? filled : start + most;
        uint64_t hash = 0;
        if (last < scanned)
            last = scanned;
        if (last >= filled)
            return count;
        for (size_t at = last - (WINDOW - 1); at < last; at++)
            hash = (hash << 1) + table[content[at]];
        while (last < end) {
            hash = (hash << 1) + table[content[last++]];
            if (hash >> 48 == 0)
                break;
        }
        if (hash >> 48 != 0 && end - start < most)
            return count;
        stops[count++] = (uint32_t)(start = last);
    }
}

/* Every fourth byte together: bytes 0, 4, 8 ..., then 1, 5, 9 ..., and so on. */
void concord_group(const uint8_t *restrict content, size_t length, uint8_t *restrict grouped)
{
    size_t quads = length / 4, more = length % 4;
    uint8_t *restrict first = grouped, *restrict second = first + quads + (more > 0), *restrict third = second + quads + (more > 1),
                      *restrict fourth = third + quads + (more > 2);
    for (size_t i = 0; i < quads; i++) {
        first[i] = content[4 * i];
        second[i] = content[4 * i + 1];
        third[i] = content[4 * i + 2];
        fourth[i] = content[4 * i + 3];
    }
    if (more > 0)
        first[quads] = content[4 * quads];
    if (more > 1)
        second[quads] = content[4 * quads + 1];
    if (more > 2)
        third[quads] = content[4 * quads + 2];
}

/* The other way round. */
void concord_ungroup(const uint8_t *restrict grouped, size_t length, uint8_t *restrict content)
{
    size_t quads = length / 4, more = length % 4;
    const uint8_t *restrict first = grouped, *restrict second = first + quads + (more > 0),
                            *restrict third = second + quads + (more > 1), *restrict fourth = third + quads + (more > 2);
    for (size_t i = 0; i < quads; i++) {
        content[4 * i] = first[i];
        content[4 * i + 1] = second[i];
        content[4 * i + 2] = third[i];
        content[4 * i + 3] = fourth[i];
    }
    if (more > 0)
        content[4 * quads] = first[quads];
    if (more > 1)
        content[4 * quads + 1] = second[quads];
    if (more > 2)
        content[4 * quads + 2] = third[quads];
}
