# Portfolio Department
