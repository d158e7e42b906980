import { crc32 } from "node:zlib";

export { crc32 };

/** The polynomial of CRC-32 (IEEE 802.3), bit-reversed: the coefficient of x^0 is the highest bit. */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** Product of two polynomials over GF(2), modulo POLYNOMIAL, in the same bit order. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

/** x^(8 × 2^k): what a message is multiplied by when 2^k bytes follow it. */
const SHIFTS: number[] = [ONE >>> 8];
for (let k = 1; k < 53; k++) SHIFTS.push(multiply(SHIFTS[k - 1] as number, SHIFTS[k - 1] as number));

/** The factor of the last length asked for: frames of one transfer mostly have the same. */
let lastLength = 0;
let lastShift = ONE;

function shiftBy(length: number): number {
  if (length === lastLength) return lastShift;
  let shift = ONE;
  for (let k = 0, rest = length; rest > 0; k++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, SHIFTS[k] as number);
  }
  lastLength = length;
  lastShift = shift;
  return shift;
}

/**
 * The CRC-32 of two pieces one after the other, from the CRC-32 of each and the length of the second in bytes: so the
 * digest of a file costs no second look at the bytes that its frames were checked with.
 */
export function combineCrc32(first: number, second: number, secondLength: number): number {
  return (multiply(shiftBy(secondLength), first) ^ second) >>> 0;
}
