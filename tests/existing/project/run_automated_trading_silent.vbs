Set shell = CreateObject("WScript.Shell")
shell.Run "run_automated_trading.bat", 0, True
