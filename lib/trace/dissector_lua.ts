/** What of the dissector does not depend on the tables: it goes behind FRAMES, ERRORS, PREFACE and PORT. */
export const DISSECTOR_LUA: string = String.raw`
local HEADER = 16
local FIN, UNCHECKED, ZSTD = 0x01, 0x02, 0x04

local fsh = Proto("fsh", "FSH/1 file transfer")
local fields, experts = {}, {}

local function declared(kind, ...)
  local field = ProtoField[kind](...)
  fields[#fields + 1] = field
  return field
end

local TYPES = {}
for code, frame in pairs(FRAMES) do TYPES[code] = frame.name end

local PREFACE_FIELD = declared("string", "fsh.preface", "Preface")
local LENGTH = declared("uint32", "fsh.length", "Length of the payload")
local TYPE = declared("uint8", "fsh.type", "Type", base.HEX, TYPES)
local FLAGS = declared("uint8", "fsh.flags", "Flags", base.HEX)
local FLAG_BITS = {
  declared("bool", "fsh.flags.fin", "FIN, the last frame of this side on the stream", 8, nil, FIN),
  declared("bool", "fsh.flags.unchecked", "UNCHECKED, without a CRC-32", 8, nil, UNCHECKED),
  declared("bool", "fsh.flags.zstd", "ZSTD, compressed", 8, nil, ZSTD),
}
local RESERVED = declared("uint16", "fsh.reserved", "Reserved", base.HEX)
local STREAM = declared("uint32", "fsh.stream", "Stream")
local CRC = declared("uint32", "fsh.crc", "CRC-32 of the payload", base.HEX)
local DATA = declared("bytes", "fsh.data", "Data")
local PACKED = declared("bytes", "fsh.packed", "Compressed payload")
local MALFORMED = ProtoExpert.new("fsh.malformed", "Malformed FSH/1", expert.group.MALFORMED, expert.severity.ERROR)

-- A ProtoField for everything that a layout has, in the layout's "field".
local function declare(layout, abbreviation, name)
  local kind = layout.kind
  if kind == "text" then
    layout.field = declared("string", abbreviation, name, base.UNICODE)
  elseif kind == "block" then
    layout.field = declared("bytes", abbreviation, name)
  elseif kind == "number" then
    local names = layout.names == "errors" and ERRORS or layout.names
    local type = (layout.signed and "int" or "uint") .. 8 * layout.bytes
    layout.field = declared(type, abbreviation, name, layout.as == "octal" and base.OCT or base.DEC, names)
  elseif kind == "list" then
    declare(layout.item, abbreviation, name)
  else
    for _, part in ipairs(layout.fields) do declare(part.layout, abbreviation .. "." .. part.name, part.name) end
  end
end
for _, frame in pairs(FRAMES) do
  for _, part in ipairs(frame.fields or {}) do
    declare(part.layout, "fsh." .. frame.name:lower() .. "." .. part.name:lower(), part.name)
  end
end
fsh.fields = fields
fsh.experts = { MALFORMED }

local function malformed(what) error({ malformed = what }, 0) end

-- Whether a string of bytes is UTF-8 (RFC 3629, section 4).
local function is_utf8(text)
  if not text:find("[\128-\255]") then return true end
  local at, size = 1, #text
  while at <= size do
    local lead = text:byte(at)
    local more, low, high = 0, 0x80, 0xbf
    if lead >= 0xc2 and lead <= 0xdf then more = 1
    elseif lead >= 0xe0 and lead <= 0xef then
      more = 2
      if lead == 0xe0 then low = 0xa0 elseif lead == 0xed then high = 0x9f end
    elseif lead >= 0xf0 and lead <= 0xf4 then
      more = 3
      if lead == 0xf0 then low = 0x90 elseif lead == 0xf4 then high = 0x8f end
    elseif lead >= 0x80 then return false end
    for i = 1, more do
      local byte = text:byte(at + i)
      if not byte or byte < low or byte > high then return false end
      low, high = 0x80, 0xbf
    end
    at = at + 1 + more
  end
  return true
end

-- The next bytes of a payload. A cursor has a buffer, a place in it, and where it stops.
local function take(cursor, bytes, what)
  if bytes > cursor.stop - cursor.at then malformed(what .. " goes beyond the end of the frame") end
  local range = cursor.tvb(cursor.at, bytes)
  cursor.at = cursor.at + bytes
  return range
end

local MOST = { unsigned = UInt64.new(0xffffffff, 0x1fffff), low = Int64.new(1, 0xffe00000), high = Int64.new(0xffffffff, 0x1fffff) }
local NONE = { unsigned = UInt64.new(0xffffffff, 0xffffffff), signed = Int64.new(0, 0x80000000) }

-- Two numbers: what it is (an Int64 or UInt64 for 8 bytes), and as Lua has numbers.
local function number_of(range, layout)
  if layout.bytes < 8 then
    local value = range:uint()
    return value, value
  end
  local value = layout.signed and range:int64() or range:uint64()
  return value, value:tonumber()
end

local function is_none(value, layout)
  if not layout.none then return false end
  if layout.bytes < 8 then return value == 2 ^ (8 * layout.bytes) - 1 end
  return value == (layout.signed and NONE.signed or NONE.unsigned)
end

local function is_too_large(value, layout)
  if layout.bytes < 8 then return layout.most ~= nil and value > layout.most end
  if layout.signed then return value < MOST.low or value > MOST.high end
  return value > MOST.unsigned
end

local function date_of(ms)
  local seconds = math.floor(ms / 1000)
  if seconds < 0 or seconds >= 253402300800 then return "" end
  return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. string.format(".%03dZ", ms % 1000)
end

local dissect_field

local function dissect_number(cursor, layout, name, tree)
  local range = take(cursor, layout.bytes, name)
  local value, plain = number_of(range, layout)
  local item = tree:add(layout.field, range)
  if is_none(value, layout) then
    item:append_text(" (not known)")
    return nil, "-"
  end
  if is_too_large(value, layout) then malformed(name .. " is out of range") end
  if layout.as == "time" then item:append_text(" (" .. date_of(plain) .. ")") end
  local names = layout.names == "errors" and ERRORS or layout.names
  return plain, names and names[plain] or tostring(value)
end

local function dissect_text(cursor, layout, name, tree)
  local start = cursor.at
  local size = take(cursor, 2, name):uint()
  if size > layout.most then malformed(name .. " is too long") end
  if size == 0 then
    tree:add(layout.field, cursor.tvb(start, 2), "")
    return "", '""'
  end
  local range = take(cursor, size, name)
  if not is_utf8(range:raw()) then malformed(name .. " is not UTF-8") end
  tree:add_packet_field(layout.field, range, ENC_UTF_8)
  return nil, '"' .. range:string(ENC_UTF_8) .. '"'
end

local function dissect_block(cursor, layout, name, tree, numbers)
  local size = take(cursor, layout.length, name):uint()
  if size > layout.most then malformed(name .. " is too long") end
  if layout.sizedBy and size ~= 0 and size ~= numbers[layout.sizedBy] then
    malformed(name .. " has not as many bytes as " .. layout.sizedBy .. " says")
  end
  local range = take(cursor, size, name)
  if size > 0 then tree:add(layout.field, range) end
  return nil, size .. " bytes"
end

local function dissect_list(cursor, layout, name, tree)
  local start = cursor.at
  local count = take(cursor, layout.count, name):uint()
  local list = tree:add(cursor.tvb(start, layout.count), name .. ": " .. count)
  if count > layout.most then malformed(name .. " has too many items") end
  for i = 1, count do dissect_field(cursor, layout.item, name .. " " .. i, list) end
  list:set_len(cursor.at - start)
  return nil, count .. " items"
end

local function dissect_record(cursor, layout, name, tree)
  local start = cursor.at
  local record = tree:add(cursor.tvb(start, 0), name)
  local numbers = {}
  for i, part in ipairs(layout.fields) do
    local plain, text = dissect_field(cursor, part.layout, part.name, record, numbers)
    numbers[part.name] = plain
    if i == 1 then record:append_text(": " .. text) end
  end
  record:set_len(cursor.at - start)
  return nil, ""
end

local KINDS = {
  number = dissect_number, text = dissect_text, block = dissect_block, list = dissect_list, record = dissect_record,
}

-- Two values: the number, where it is one, and what a line shows of it.
dissect_field = function(cursor, layout, name, tree, numbers)
  return KINDS[layout.kind](cursor, layout, name, tree, numbers)
end

local function dissect_fields(frame, tvb, start, stop, tree)
  local cursor, shown = { tvb = tvb, at = start, stop = stop }, {}
  for _, part in ipairs(frame.fields) do
    local _, text = dissect_field(cursor, part.layout, part.name, tree, {})
    if part.name == "path" or part.layout.names == "errors" then shown[#shown + 1] = text end
  end
  if cursor.at < stop then malformed((stop - cursor.at) .. " bytes are left over") end
  return table.concat(shown, " ")
end

local function check_header(frame, tvb, at)
  local flags, stream = tvb(at + 5, 1):uint(), tvb(at + 8, 4):uint()
  for bit, may in pairs({ [FIN] = "fin", [UNCHECKED] = "unchecked", [ZSTD] = "zstd" }) do
    if flags % (2 * bit) >= bit and not frame[may] then malformed("a flag that it can't have") end
  end
  if flags >= 8 or tvb(at + 6, 2):uint() ~= 0 then malformed("reserved bits are set") end
  if flags % 4 >= UNCHECKED and tvb(at + 12, 4):uint() ~= 0 then malformed("a CRC-32 that is said not to be there") end
  if frame.on == "session" and stream ~= 0 then malformed("it belongs to the session, not to a stream") end
  if (frame.on == "stream" or frame.on == "opens") and stream == 0 then malformed("it belongs to a stream") end
end

local function dissect_payload(frame, tvb, start, size, zstd, tree)
  if zstd then
    tree:add(PACKED, tvb(start, size))
    -- Wireshark 4.4 and later can unpack it.
    local done, plain = pcall(function() return tvb(start, size):uncompress_zstd("Unpacked") end)
    if not done or not plain or not frame.fields then return "" end
    local unpacked = plain:tvb()
    return dissect_fields(frame, unpacked, 0, unpacked:len(), tree)
  end
  if frame.fields then return dissect_fields(frame, tvb, start, start + size, tree) end
  if size > 0 then tree:add(DATA, tvb(start, size)) end
  return ""
end

-- One frame, of which the header is there; answers what the line of the packet says of it.
local function dissect_frame(tvb, at, length, tree)
  local code, stream = tvb(at + 4, 1):uint(), tvb(at + 8, 4):uint()
  local frame = FRAMES[code]
  local name = frame and frame.name or string.format("type 0x%02x", code)
  local branch = tree:add(fsh, tvb(at, math.min(length, tvb:len() - at)), "FSH/1 " .. name)
  if stream > 0 then branch:append_text(", stream " .. stream) end
  branch:add(LENGTH, tvb(at, 4))
  branch:add(TYPE, tvb(at + 4, 1))
  local bits = branch:add(FLAGS, tvb(at + 5, 1))
  for _, bit in ipairs(FLAG_BITS) do bits:add(bit, tvb(at + 5, 1)) end
  branch:add(RESERVED, tvb(at + 6, 2))
  branch:add(STREAM, tvb(at + 8, 4))
  branch:add(CRC, tvb(at + 12, 4))
  local done, answer = pcall(function()
    if not frame then malformed("a type that is not known") end
    if length - HEADER > frame.max then malformed("longer than its type allows") end
    check_header(frame, tvb, at)
    local zstd = tvb(at + 5, 1):uint() % (2 * ZSTD) >= ZSTD
    return dissect_payload(frame, tvb, at + HEADER, length - HEADER, zstd, branch)
  end)
  local line = name .. (stream > 0 and " stream " .. stream or "")
  if done then
    if answer ~= "" then branch:append_text(": " .. answer) end
    return line .. (answer ~= "" and " " .. answer or "")
  end
  local what = type(answer) == "table" and answer.malformed or tostring(answer)
  branch:add_proto_expert_info(MALFORMED, what)
  return line .. " [malformed: " .. what .. "]"
end

-- Bytes up to the end of what begins here, whether it can be a frame at all; nil: too little is there to tell.
local function extent(tvb, at)
  local left = tvb:len() - at
  local head = tvb(at, math.min(left, #PREFACE)):raw()
  if head == PREFACE:sub(1, #head) then return #PREFACE, true end
  if left < HEADER then return nil, true end
  local size, frame = tvb(at, 4):uint(), FRAMES[tvb(at + 4, 1):uint()]
  return HEADER + size, frame ~= nil and size <= frame.max
end

function fsh.dissector(tvb, pinfo, tree)
  local size, at, lines = tvb:len(), 0, {}
  while at < size do
    local length, possible = extent(tvb, at)
    if possible and (length == nil or length > size - at) then
      pinfo.desegment_offset = at
      pinfo.desegment_len = length and length - (size - at) or DESEGMENT_ONE_MORE_SEGMENT
      break
    end
    -- Behind what is no frame nothing can be found again.
    if not possible then length = size - at end
    if possible and length == #PREFACE then
      tree:add(fsh, tvb(at, length), "FSH/1 preface"):add(PREFACE_FIELD, tvb(at, length))
      lines[#lines + 1] = "preface"
    else
      lines[#lines + 1] = dissect_frame(tvb, at, possible and length or HEADER + tvb(at, 4):uint(), tree)
    end
    at = at + length
  end
  pinfo.cols.protocol:set("FSH/1")
  if #lines > 0 then pinfo.cols.info:set(table.concat(lines, ", ")) end
  return size
end

-- Whatever the port: a connection that begins with the preface.
fsh:register_heuristic("tcp", function(tvb, pinfo, tree)
  local size = math.min(tvb:len(), #PREFACE)
  if size < 4 or tvb(0, size):raw() ~= PREFACE:sub(1, size) then return false end
  pinfo.conversation = fsh
  fsh.dissector(tvb, pinfo, tree)
  return true
end)
DissectorTable.get("tcp.port"):add(PORT, fsh)
-- Over TLS, for whoever has its keys.
pcall(function() DissectorTable.get("tls.alpn"):add(ALPN, fsh) end)
`;
