-- fetch/server: a server on the network, by C (galrun_net.h): requests that wait their turn, and their
-- answers. answers.lua says what the answers mean.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local options = require "gal.base.options"
local collect = require "gal.base.collect"
local C = ffi.C
local check = errors.check

local M = {}
local Server = {}
Server.__index = Server

local nets, manners = ffi.new "gal_net *[1]", ffi.new "gal_net_manners[1]"
local request, answer = ffi.new "gal_net_request[1]", ffi.new "gal_net_answer[1]"
local MANNERS = { "connections", "tries", "pause", "wait", "longest", "connect", "authorities" }
local REQUEST = { "path", "form", "file", "most", "stall", "after", "key" }

--- server.open(base[, {connections =, tries =, pause =, wait =, longest =, connect =, authorities =}]): the
-- server whose addresses begin with base, "https://…". Times are in seconds; authorities: a file of
-- certificates to trust instead of the system's. Nothing is asked yet.
function M.open(base, o)
  o = options.known("open", o, MANNERS)
  C.gal_net_usual(manners)
  for _, name in ipairs(MANNERS) do
    if o[name] ~= nil then manners[0][name] = o[name] end
  end
  errors.text("open", "server", base)
  local h = collect.handle(C.gal_net_close, nets, C.gal_net_open, base, manners)
  return setmetatable({ h = h, keys = {}, asked = 0 }, Server)
end

--- s:ask{path =, form =, file =, most =, stall = 60, after = 0, key =}: a request, to be made after those
-- that wait. path: what follows base; form: what is posted; file: where a whole body is written; most: the
-- most bytes of the body; stall: the longest time without a byte; after: not before so many seconds from now;
-- key: what the answer is known by.
function Server:ask(o)
  o = options.known("ask", o, REQUEST)
  self.asked = self.asked + 1
  request[0] = {
    path = o.path, form = o.form, file = o.file, most = o.most, stall = o.stall or 60, after = o.after or 0,
    tag = self.asked,
  }
  check(C.gal_net_ask(self.h, request))
  self.keys[self.asked] = { o.key, o.file }
end

--- s:next() --> the next answer: {key, kind, status, tries, body, bytes, type, problem}; nil where no request
-- is left. body is empty where it stands in a file; bytes is its length wherever it stands. kind: "whole",
-- "refused", "busy", … (gal_net_kind). Ctrl-C raises; the requests are still there.
function Server:next()
  while self:left() > 0 do
    local status = C.gal_net_next(answer, self.h, 1)
    local a, tag = answer[0], tonumber(answer[0].tag)
    local asked = self.keys[tag]
    self.keys[tag] = nil
    check(status)
    if a.kind ~= C.GAL_NET_NONE then
      local elsewhere = asked[2] and a.kind == C.GAL_NET_WHOLE
      return {
        key = asked[1], kind = ffi.string(C.gal_net_kind_name(a.kind)), status = a.status, tries = a.tries,
        body = elsewhere and "" or ffi.string(a.bytes, a.n), bytes = tonumber(a.n),
        type = ffi.string(a.type), problem = ffi.string(a.problem),
      }
    end
    errors.poll()
  end
end

--- s:left() --> how many requests have not been answered.
function Server:left() return tonumber(C.gal_net_left(self.h)) end

--- s:rest(seconds): nothing begins within so many seconds from now; what is on its way goes on.
function Server:rest(seconds) check(C.gal_net_rest(self.h, seconds)) end

--- s:counts() --> how many tries have ended as each kind: {whole = 12, busy = 1}.
function Server:counts()
  if self.ended then return self.ended end
  local counts = {}
  for kind = C.GAL_NET_WHOLE, C.GAL_NET_KINDS - 1 do
    local n = tonumber(C.gal_net_count(self.h, kind))
    if n > 0 then counts[ffi.string(C.gal_net_kind_name(kind))] = n end
  end
  return counts
end

--- s:close(): ends what is on its way; after that s has its counts only.
function Server:close()
  if not self.h then return end
  self.ended = self:counts()
  collect.free(C.gal_net_close, self.h)
  self.h = nil
end

--- server.form(list) --> a list of {name, value} as it is written in an address or posted:
-- "cmd=SELECT%201&format=csv".
function M.form(list)
  local function escaped(text)
    return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
  end
  local parts = {}
  for i, pair in ipairs(list) do parts[i] = escaped(pair[1]) .. "=" .. escaped(pair[2]) end
  return table.concat(parts, "&")
end

return M
