-- The modules of lua/gal: each can be the first that a script requires, none needs another to have been
-- loaded for its work, and only the room of tensors knows its own files.
local check = dofile "lua/lib/check.lua"
local host = require "gal.host"

local root = host.root .. "/lua/"

local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- What a fresh galrun prints that runs this code.
local function fresh(code) return output(("%q -e '%s'"):format(host.executable, code)) end

-- {name = "gal.tensor.map", path} for every file of lua/gal, in order.
local modules = {}
for path in output(("find %q -name '*.lua'"):format(root .. "gal")):gmatch "[^\n]+" do
  local name = path:sub(#root + 1):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  modules[#modules + 1] = { name = name, path = path }
end
table.sort(modules, function(a, b) return a.name < b.name end)

check.case("every module can be the first and the only one", function()
  check.that(#modules > 40, "only " .. #modules .. " modules were found in " .. root)
  for _, m in ipairs(modules) do
    check.equal(fresh(('require "%s" io.write "loaded"'):format(m.name)), "loaded", m.name .. " alone")
  end
end)

check.case("the room of tensors stands alone", function()
  check.equal(fresh [[
    local tensor = require "gal.tensor"
    local x = tensor.ones { 2, 2 }
    local y = tensor.cat({ x + x, x * x * 3 }, 2)
    io.write(table.concat(y:totable()[1], " "), ", ", y:sum():item())]], "2 2 3 3, 20")
end)

check.case("a file of the tensor room works without the others having been loaded", function()
  check.equal(fresh [[
    local values, map = require "gal.tensor.values", require "gal.tensor.map"
    io.write(values.item(map.exp(map.add(values.tensor(1), -1))))]], "1")
end)

check.case("only the room of tensors requires its files: the others take gal.tensor", function()
  for _, m in ipairs(modules) do
    local file = assert(io.open(m.path))
    local inner = file:read("*a"):match 'require *%(?"(gal%.tensor%.[%w_]+)"'
    file:close()
    if inner and not m.name:find "^gal%.tensor" then
      check.that(false, ("%s requires %s, expected gal.tensor"):format(m.name, inner))
    end
  end
end)

check.finish()
