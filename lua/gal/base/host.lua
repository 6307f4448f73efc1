-- The process around the library. Inside galrun that is gal.host, a table that runtime/host/main.c makes: the
-- command line's options, the terminal, how to leave. Anywhere else these defaults stand in for it.
local inside, host = pcall(require, "gal.host")

return inside and host or {
  device = "cpu",                       -- of --device
  seed = 0,                             -- of --seed
  interactive = false,                  -- whether the prompt runs
  pictures = "auto",                    -- of --pictures: how a terminal shows figures
  echo = function() return true end,    -- whether the terminal echoes what is typed
  trace = function() return nil end,    -- the last error with all its calls
  columns = function() return nil end,  -- of the terminal behind standard output, (2) error; or nil
  shelter = function() end,             -- Ctrl-C is raised behind the functions of the chunk that calls it
}
