-- fetch/pictures: whether a server's answer is the picture that was asked for. A server may answer with a
-- sentence under any status, with half a picture, with one of another size, or, where its survey has not
-- looked, with a picture of words or of nothing: none of that is data.
local ffi = require "ffi"
local answers = require "gal.fetch.answers"
local sources = require "gal.fetch.sources"
local C = ffi.C

local M = {}

local look = ffi.new "gal_look[1]"

-- Whether these bytes begin as a picture does.
local function is_picture(body)
  return body:find "^\255\216" or body:find "^\137PNG" or body:find "^SIMPLE  ="
end

-- What is wrong with the picture in an answer: kind and sentence, nil where it is what was asked for.
local function fault_of(answer, settings)
  if C.gal_image_look(look, answer.body, #answer.body) ~= 0 then
    return "damaged", "the picture " .. ffi.string(C.gal_error())
  end
  local seen, size = look[0], settings.size
  local nothing = sources.nothing(settings, seen, answer.status)
  if nothing then return "outside", nothing end
  if (answer.body:find "^SIMPLE" and "fits" or "jpg") ~= settings.format then
    return "other format", ("the picture is not %s"):format(settings.format)
  end
  if seen.width ~= size or seen.height ~= size then
    return "other size", ("the picture is %d x %d pixels, expected %d x %d"):format(seen.width, seen.height,
      size, size)
  end
end

--- pictures.fault(answer, settings) --> nil where the answer (of s:next, fetch/server.lua) is the picture
-- that settings (of sources.open) ask for; else its kind ("outside", "damaged", "other size", "other format",
-- or one of answers.words'), a sentence, and whether the fault is this picture's rather than the server's:
-- then it is believed when it comes twice.
function M.fault(answer, settings)
  local kind, sentence
  if answer.kind ~= "whole" and answer.kind ~= "refused" then return answer.kind, answer.problem, false end
  if is_picture(answer.body) then
    kind, sentence = fault_of(answer, settings)
    if not kind and answer.kind == "refused" then kind, sentence = "refused", answer.problem end
  else
    kind, sentence = answers.words(answer)
  end
  if not kind then return nil end
  return kind, sentence, kind == "outside" or kind:find "^other" ~= nil or answer.kind == "refused"
end

return M
